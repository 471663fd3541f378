"""What a sweep found, in the terminal."""

from __future__ import annotations

from dfkd.execution.compute import Compute
from dfkd.reporting.console import Console
from dfkd.storage import layout
from dfkd.sweeps import tables
from dfkd.sweeps.captions import facts
from dfkd.sweeps.findings import SweepData, verdict
from dfkd.tracking import hint


def print_result(data: SweepData, compute: Compute, console: Console) -> None:
    """Print what a call found: the best trials, the confirmed difference, where all of it lies."""
    # its own mark, where it has no parameters that say what it is
    marks = tables.marks(data) if data.trials[0].is_default else {}
    console.table("Best trials, by the probe", *tables.best(data, marks))
    console.line(f"{len(data.trials)} trials: {data.states()}")
    if data.correlation is not None:
        console.line(
            f"probe against validation accuracy: rank correlation {data.correlation:.2f} over the "
            "trials (the search saw the probe only)"
        )
    for line in verdict(data.confirmation) if data.confirmation else ():
        console.line(line)
    sweep = layout.sweep(data.name)
    console.line(
        f"written to {compute.storage}: {layout.CELLS}/, {sweep}/ "
        f"({layout.OPTUNA_LOG} opens in optuna-dashboard)"
    )
    console.line(f"report:  {compute.storage.local(sweep / layout.REPORT / layout.PAGE)}")
    for line in hint(compute.storage, compute.tracking_uri, layout.sweep(data.name)):
        console.line(line)


def print_sweep(data: SweepData, console: Console) -> None:
    """Print a sweep that is compared: the best trials, what was confirmed, and facts beside it."""
    best = tables.best(data, tables.marks(data))
    console.table(f"Best trials of {data.name}, by the probe", *best)
    if data.confirmation is not None:
        console.table("Confirmation", tables.CONFIRMED, tables.confirmed(data.confirmation))
    for line in facts(data):
        console.line(line)
