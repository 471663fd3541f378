"""What a sweep found, in the terminal: the best trials, the confirmed difference, where all of it
lies.
"""

from __future__ import annotations

from collections import Counter

from dfkd.execution.compute import Compute
from dfkd.reporting.console import Console
from dfkd.storage import layout
from dfkd.sweeps import page
from dfkd.sweeps.driver import Sweep, SweepResult
from dfkd.sweeps.findings import Confirmation, SweepData, short, verdict
from dfkd.tracking import Tracker


def print_result(result: SweepResult, sweep: Sweep, compute: Compute, console: Console) -> None:
    names = [name for name in result.best[0] if name not in ("trial", "probe", "validation")]
    header = ["trial", "probe", "validation", *names]
    console.table(
        "Best trials, by the probe",
        header,
        [[short(row[name]) for name in header] for row in result.best],
    )
    states = Counter(record.state for record in result.trials)
    console.line(
        f"{len(result.trials)} trials: "
        + ", ".join(f"{n} {state}" for state, n in sorted(states.items()))
    )
    console.line(
        f"probe against validation accuracy: rank correlation {result.correlation:.2f} over the "
        "trials"
        " (the search saw the probe only)"
    )
    for line in verdict(confirmation_of(result)):
        console.line(line)
    console.line(
        f"written to {compute.storage}: {layout.CELLS}/, {layout.sweep(result.name)}/ "
        f"({layout.OPTUNA_LOG} opens in optuna-dashboard)"
    )
    page = layout.sweep(result.name) / layout.REPORT / layout.PAGE
    console.line(f"report:  {compute.storage / page}")
    console.line(f"see all runs:  {Tracker(compute.storage, compute.tracking_uri).open_command()}")


def confirmation_of(result: SweepResult) -> Confirmation:
    return Confirmation(
        winner=result.winner,
        winner_test=tuple(result.winner_test),
        default_test=tuple(result.default_test),
    )


def print_sweep(data: SweepData, console: Console) -> None:
    """The best trials, what was confirmed, and what has to be known beside it."""
    console.table(f"Best trials of {data.name}, by the probe", *page.best(data))
    if data.confirmation is not None:
        console.table("Confirmation", page.HEADER, page.confirmed(data))
    for line in page.facts(data):
        console.line(line)
