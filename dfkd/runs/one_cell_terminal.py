"""One cell in the terminal: its curve and where it lies."""

from __future__ import annotations

from dfkd.execution.session import Compute
from dfkd.reporting.console import Console
from dfkd.storage.ledger import Ledger, Outcome
from dfkd.tracking import Tracker

COLUMNS = (
    "step",
    "probe",
    "validation",
    "train.kd",
    "train.explicit",
    "train.implicit",
    "train.total",
)


def print_outcome(outcome: Outcome, compute: Compute, console: Console) -> None:
    header = [name for name in COLUMNS if any(name in point for point in outcome.points)]
    cells = [
        [f"{point[name]:.4g}" if name in point else "" for name in header]
        for point in outcome.points
    ]
    console.table(f"Cell {outcome.cell}: {outcome.state} at step {outcome.step}", header, cells)
    if "test" in outcome.metrics:
        console.line(f"test accuracy {100 * outcome.metrics['test']:.1f} %")
    console.line(f"written to {Ledger(compute.storage).folder(outcome.cell)}")
    if outcome.state == "finished":
        console.line(
            f"hand it over:  python -m platform.export {outcome.cell} --storage {compute.storage}"
        )
    console.line(f"see all runs:  {Tracker(compute.storage, compute.tracking_uri).open_command()}")
