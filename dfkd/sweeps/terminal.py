"""What a sweep found, in the terminal."""

from typing import Any

from dfkd.execution.compute import Compute
from dfkd.reporting.console import Console
from dfkd.storage import layout
from dfkd.sweeps import tables
from dfkd.sweeps.captions import FRONT, facts, price
from dfkd.sweeps.findings import SweepData, verdict
from dfkd.sweeps.trial import RECORDED
from dfkd.tracking import hint


def print_result(data: SweepData, compute: Compute, console: Console) -> None:
    """Print what a call found: the best trials, the confirmed difference, where all of it lies."""
    console.document.add("sweeps", values(data))
    # its own mark, where it has no parameters that say what it is
    marks = tables.marks(data) if data.trials[0].is_default else {}
    console.table(f"Best trials, by the {data.judged_by}", *tables.best(data, marks))
    _print_front(data, console)
    console.line(f"{len(data.trials)} trials: {data.states()}")
    if said := data.rank_correlation():
        console.line(
            f"probe against validation accuracy: rank correlation {said} (the search saw the probe "
            "only)"
        )
    for line in verdict(data.confirmation) if data.confirmation else ():
        console.line(line)
    for line in price(data):
        console.line(line)
    sweep = layout.sweep(data.name)
    address = compute.storage.address
    page = address(sweep / layout.REPORT / layout.PAGE)
    written = (address(sweep), page, address(layout.CELLS))
    console.document.wrote(*written)
    console.line(
        f"written to {compute.storage}: {layout.CELLS}/, {sweep}/ "
        f"({layout.OPTUNA_LOG} opens in optuna-dashboard)"
    )
    console.line(f"report:  {page}")
    for line in hint(compute.storage, compute.tracking_uri, layout.sweep(data.name)):
        console.line(line)


def _print_front(data: SweepData, console: Console) -> None:
    header, rows = tables.on_front(data, tables.marks(data))
    if rows:
        console.table(f"{FRONT} {data.cost_name}", header, rows)


def values(data: SweepData) -> dict[str, Any]:
    """Return what a sweep found for --json. Accuracies and differences are fractions."""
    found = data.confirmation
    confirmation = None
    if found is not None:
        confirmation = {
            "winner": found.winner,
            "winner_trial": found.winner_trial,
            "winner_test": found.winner_test,
            "default_test": found.default_test,
            "difference": found.difference() if found.winner else None,
        }
    return {
        "name": data.name,
        "trials": [
            {n: getattr(t, n) for n in (*RECORDED, "validation", "costs")} for t in data.trials
        ],
        "confirmation": confirmation,
        "correlation": data.correlation,
        "note": data.note,
    }


def print_sweep(data: SweepData, console: Console) -> None:
    """Print a sweep that is compared: the best trials, what was confirmed, and facts beside it."""
    console.document.add("sweeps", values(data))
    best = tables.best(data, tables.marks(data))
    console.table(f"Best trials of {data.name}, by the {data.judged_by}", *best)
    _print_front(data, console)
    if data.confirmation is not None:
        console.table("Confirmation", tables.CONFIRMED, tables.confirmed(data.confirmation))
    for line in facts(data):
        console.line(line)
