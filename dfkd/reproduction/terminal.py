"""Prints what a table costs and what it found."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from dfkd.execution.compute import Compute
from dfkd.planning.cluster import Price, cluster_of
from dfkd.planning.demand import of_study
from dfkd.planning.plan import plan
from dfkd.planning.terminal import print_plan
from dfkd.reporting.console import Console
from dfkd.reporting.numbers import counted
from dfkd.reproduction.convergence import reached
from dfkd.reproduction.cost import BASIS, cost_of
from dfkd.reproduction.results import PAGE, written
from dfkd.reproduction.table import SMOKE, Table
from dfkd.reproduction.tables import ALL
from dfkd.storage import Storage, layout
from dfkd.storage.files import size
from dfkd.studies import Study
from dfkd.studies.result import StudyResult
from dfkd.studies.terminal import print_findings
from dfkd.tracking import hint


def print_tables(console: Console) -> None:
    """Print the tables that there are, with their scales and columns."""
    rows = [
        [table.name, ", ".join(table.blocks), "; ".join(c.title for c in table.columns)]
        for table in ALL
    ]
    for name, scales, columns in rows:
        console.document.add("modules", {"name": name, "question": f"{columns} ({scales})"})
    console.table("Tables", ["table", "scales", "columns"], rows, text=("scales", "columns"))
    console.line("what one costs:  python -m platform.reproduce cifar10 --scale paper --dry-run")


def print_cost(
    table: Table, studies: Iterable[Study], price: float | None, console: Console
) -> None:
    """Print the cells, device hours, bytes and, by a price of an hour, money of a table."""
    cost = cost_of(studies)
    money = None if price is None else price * cost.device_hours
    console.document.add("costs", {"table": table.name, "money": money, **vars(cost)})
    said = f"{counted(cost.cells, 'cell')}, about {cost.device_hours:,.1f} H200 hours"
    said += "" if money is None else f", {money:,.2f} at {price:g} an hour"
    console.line(f"{table.name}: {said}, {size(cost.bytes)} of images and scores on disk")
    console.line(f"hours {BASIS}")


def print_plans(
    studies: Mapping[str, Study], price: float | None, compute: Compute, console: Console
) -> None:
    """Print what the missing cells of each study would take on this machine."""
    paid = None if price is None else Price(price, "GPU" if compute.gpus else "CPU")
    for name, study in studies.items():
        demand = of_study(name, study, compute, anew=False)
        print_plan(plan(demand, compute, cluster_of(1, None, None), paid, None), compute, console)


def print_results(
    table: Table, scale: str, results: Iterable[StudyResult], compute: Compute, console: Console
) -> None:
    """Print each study's findings and how fast its variants were, and where all of it lies."""
    for result in results:
        data = result.findings.data
        print_findings(result.findings, console)
        rows = reached(data, data.baseline).to_dict("records")
        console.document.add("convergence", {"study": result.name, "rows": rows})
        console.document.wrote(result.page)
        console.line(f"{result.computed} cells computed; report:  {result.page}\n")
    page = compute.storage.address(layout.overview(f"{table.name}-{scale}") / PAGE)
    console.document.wrote(page)
    console.line(f"the table, with convergence and published numbers:  {page}")
    for line in hint(compute.storage, compute.tracking_uri, layout.STUDIES):
        console.line(line)


def write_results(path: Path, storage: Storage, console: Console) -> None:
    """Write RESULTS.md and its figures from the ledger; a smoke is none of the results."""
    wanted = [(table, scale) for table in ALL for scale in table.blocks if scale != SMOKE]
    for name, text in _beside(path, written(wanted, storage)).items():
        name.parent.mkdir(parents=True, exist_ok=True)
        name.write_text(text, encoding="utf-8")
        console.document.wrote(name)
    console.line(f"written to {path}")


def _beside(path: Path, texts: Mapping[str, str]) -> dict[Path, str]:
    return {path if name == PAGE else path.parent / name: text for name, text in texts.items()}
