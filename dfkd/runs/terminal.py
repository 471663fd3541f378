"""Prints one cell: its curve, what the ledger knows of it, and how it differs from another."""

from collections.abc import Iterable, Iterator
from typing import Any

from dfkd.execution.compute import Compute
from dfkd.experiment import Cell
from dfkd.experiment.rebuild import module_options
from dfkd.reporting.changes import changed_lines
from dfkd.reporting.console import Console
from dfkd.reporting.numbers import short_number
from dfkd.reporting.shell import option
from dfkd.seeding import Block
from dfkd.storage import Storage, layout
from dfkd.storage.ledger import Ledger
from dfkd.storage.outcome import Outcome
from dfkd.studies.record import read, recorded

CURVE = ("step", "probe", "validation")  # and every term of the loss


def print_outcome(
    outcome: Outcome, hint: Iterable[str], compute: Compute, console: Console
) -> None:
    """Print the curve of a cell that was just computed, and where it lies.

    hint: lines that say how to see it in MLflow.
    """
    console.document.add("cells", outcome.kept())
    console.document.wrote(compute.storage.address(layout.cell(outcome.cell)))
    _print_curve(outcome, console)
    if "test" in outcome.metrics:
        console.line(f"test accuracy {100 * outcome.metrics['test']:.1f} %")
    console.line(f"written to {Ledger(compute.storage).address(outcome.cell)}")
    if outcome.state == "finished":
        where = option("storage", compute.storage)
        options = f"{outcome.cell}{module_options(outcome.params)} {where}"
        console.line(f"hand it over:  python -m platform.export {options}")
    for line in hint:
        console.line(line)


def print_cell(cell: str, storage: Storage, console: Console) -> None:
    """Print all that the ledger knows of a cell; of one without an outcome, why it has none."""
    ledger = Ledger(storage)
    outcome, folder = ledger.read(cell), ledger.address(cell)
    if outcome is None:
        _print_unfinished(cell, ledger, console)
    else:
        console.document.add("cells", outcome.kept())
        _print_curve(outcome, console)
        _print_facts(outcome, console)
    for line in _uses(cell, storage):
        console.line(line)
    console.line(f"files in {folder}: {', '.join(storage.list(layout.cell(cell)))}")
    if outcome is not None:
        test = " --test" if "test" in outcome.metrics else ""
        options = f"--run {cell} {option('from', storage)}{module_options(outcome.params)}{test}"
        console.line(f"alone:  python -m platform.distill {options} --storage another-folder")


def print_difference(origin: Cell, cell: Cell, console: Console) -> None:
    """Print in what a cell differs from the cell of a run or recipe that it was made from."""
    pairs = cell.experiment.diff(origin.experiment)
    lines = changed_lines(
        {name: (str(here), str(before)) for name, (here, before) in pairs.items()}, "before"
    )
    if cell.block != origin.block:
        lines.append(f"block: {cell.block} (before: {origin.block})")
    for line in lines or ["the same recipe and block as before"]:
        console.line(line)


def _print_curve(outcome: Outcome, console: Console) -> None:
    names = dict.fromkeys(name for point in outcome.points for name in point)
    header = [name for name in names if name in CURVE or name.startswith("train.")]
    rows = [
        [short_number(point[name]) if name in point else "" for name in header]
        for point in outcome.points
    ]
    console.table(f"Cell {outcome.cell}: {outcome.state} at step {outcome.step}", header, rows)


def _print_facts(outcome: Outcome, console: Console) -> None:
    own = {"block": Block(**outcome.block), "seconds": f"{outcome.seconds:.1f}"}
    metrics = {name: f"{value:.4f}" for name, value in outcome.metrics.items()}
    _print_pairs(outcome.params, console)
    console.line("")
    _print_pairs({**outcome.tags, **outcome.environment, **own, **metrics}, console)


def _print_pairs(pairs: dict[str, Any], console: Console) -> None:
    for name, value in pairs.items():
        console.line(f"{name:<28} {value}")


def _print_unfinished(cell: str, ledger: Ledger, console: Console) -> None:
    error = ledger.error(cell)
    console.document.put("unfinished", {"cell": cell, "error": error})
    if error is not None:
        console.line(f"Cell {cell} could not be computed; the next call tries again. Its log:")
        console.line(error.rstrip())
    elif ledger.storage.exists(layout.cell(cell)):
        console.line(
            f"Cell {cell} is under way or was stopped; it goes on from its last checkpoint"
        )
    else:
        console.line(f"Cell {cell} is not there")


def _uses(cell: str, storage: Storage) -> Iterator[str]:
    """Yield a line for each study that the cell belongs to."""
    for name in recorded(storage):
        record = read(storage, name)
        assert record is not None
        for variant, cells in record.cells.items():
            if cell in cells:
                block = Block(**record.blocks[cells.index(cell)])
                yield f"in the study {name}: {variant}, block {block}"
