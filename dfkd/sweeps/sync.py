"""What MLflow is told of a sweep: its cells on the way, and at the end what was found."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from dfkd.execution.compute import Compute
from dfkd.execution.executor import OnOutcome
from dfkd.identity import digest
from dfkd.reporting.console import Console
from dfkd.reporting.report_files import digest_of
from dfkd.storage import layout
from dfkd.storage.ledger import Ledger
from dfkd.sweeps.choosing import Confirmed
from dfkd.sweeps.findings import SweepData, Trial
from dfkd.sweeps.record import RECORD, best_rows, correlation_of, text
from dfkd.sweeps.sweep import Sweep
from dfkd.tracking import RunSync, Tracker

Files = Mapping[str, Path | str]  # a report's files by their names in MLflow


def sync_of(sweep: Sweep, name: str, compute: Compute, console: Console) -> RunSync:
    """Return the sync of a sweep with MLflow, not opened yet."""
    return RunSync(
        Tracker(compute.storage, compute.tracking_uri, warn=console.warn),
        compute.storage / layout.sweep(name),
        kind="sweep",
        name=name,
        identity=name,
        params=asdict(sweep),
        tags={"space": sweep.space},
    )


def track(sync: RunSync, name: str, role: str) -> OnOutcome:
    """Return a function that tells MLflow of each cell in this role of the sweep."""
    return lambda outcome: sync.cell(
        outcome, role, f"{role} {outcome.block['seed']}", {"sweep": name}
    )


def track_trials(sync: RunSync, name: str, trials: Iterable[Trial], ledger: Ledger) -> None:
    """Tell MLflow of the trials' cells that are in the ledger."""
    for trial in trials:
        if (outcome := ledger.read(trial.cell)) is not None:
            sync.cell(outcome, "trial", f"trial {trial.number}", {"sweep": name})


def told_of(data: SweepData, files: Files) -> dict[str, str]:
    """Return digests of what there is to tell, by subject."""
    return {"record": digest(text(data)), "report": digest_of(dict(files))}


def tell(
    sync: RunSync, data: SweepData, files: Files, trials: Sequence[Trial], confirmed: Confirmed
) -> None:
    """Tell MLflow what was found, and settle the account. The trials come with their curves."""
    found = confirmed.confirmation.difference()
    metrics = {
        "winner_minus_default": found.mean,
        "winner_minus_default.low": found.low,
        "winner_minus_default.high": found.high,
        "probe_validation_rank_correlation": correlation_of(trials),
    }
    known = {name: v for name, v in metrics.items() if v is not None and math.isfinite(v)}
    tables: dict[str, str | pd.DataFrame] = {
        "best_trials": pd.DataFrame(best_rows(trials)),
        RECORD: text(data),
    }
    sync.tracker.finish(sync.parent, metrics=known, tables=tables, files=dict(files))
    if confirmed.student.state == "finished":
        sync.tracker.student(sync.parent, confirmed.student, confirmed.experiment)
    sync.settle(told_of(data, files))
