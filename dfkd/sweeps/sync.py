"""What MLflow is told of a sweep: its cells on the way, and at the end what was found."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean

import pandas as pd

from dfkd.execution.compute import Compute
from dfkd.identity import digest
from dfkd.reporting.console import Console
from dfkd.reporting.report_files import digest_of
from dfkd.seeding import Block
from dfkd.storage import layout
from dfkd.storage.ledger import Ledger
from dfkd.storage.notes import read_note
from dfkd.storage.outcome import Outcome
from dfkd.sweeps.choosing import DEFAULT, WINNER, Confirmed
from dfkd.sweeps.findings import SweepData
from dfkd.sweeps.page import markdown
from dfkd.sweeps.record import RECORD, best_rows, correlation_of, text
from dfkd.sweeps.sweep import Sweep
from dfkd.sweeps.trial import Trial
from dfkd.tracking import FORM, RunSync, Tracker, in_points

Files = Mapping[str, Path | str]  # a report's files by their names in MLflow


def sync_of(
    sweep: Sweep, name: str, compute: Compute, console: Console, register: str | None
) -> RunSync:
    """Return the sync of a sweep with MLflow, not opened yet.

    register: the name under which the winner's student is registered, None for none.
    """
    return RunSync(
        Tracker(compute.storage, compute.tracking_uri, warn=console.warn),
        layout.sweep(name),
        register,
        kind="sweep",
        name=name,
        identity=name,
        params={name: value for name, value in asdict(sweep).items() if value not in (None, {})},
        tags={"space": sweep.space, **read_note(compute.storage, layout.sweep(name)).in_mlflow()},
    )


def track_trials(sync: RunSync, name: str, trials: Iterable[Trial], ledger: Ledger) -> None:
    """Tell MLflow of the trials' cells that are in the ledger."""
    for trial in trials:
        if (outcome := ledger.read(trial.cell)) is not None:
            tags = {"sweep": name, "trial": str(trial.number)}
            sync.cell(outcome, "trial", f"trial {trial.number}", tags)


def track_candidate(sync: RunSync, name: str, outcome: Outcome, trial: Trial) -> None:
    """Tell MLflow of a cell in which a trial is tried again, to choose the winner."""
    tags = {"sweep": name, "trial": str(trial.number)}
    title = f"trial {trial.number}, block {Block(**outcome.block)}"
    sync.cell(outcome, "candidate", title, tags)


def track_confirmation(
    sync: RunSync, name: str, trials: Mapping[str, Trial | None], outcome: Outcome, side: str
) -> None:
    """Tell MLflow of a cell of the confirmation. trials: the one that each side was, if any."""
    tags = {"sweep": name, "variant": side}
    if (trial := trials[side]) is not None:
        tags["trial"] = str(trial.number)
    sync.cell(outcome, "confirmation", f"{side}, block {Block(**outcome.block)}", tags)


def told_of(data: SweepData, files: Files) -> dict[str, str]:
    """Return digests of what there is to tell, by subject."""
    return {"record": digest([FORM, text(data)]), "report": digest_of(dict(files))}


def tell(
    sync: RunSync, data: SweepData, files: Files, trials: Sequence[Trial], confirmed: Confirmed
) -> None:
    """Tell MLflow what was found, and settle the account. The trials come with their curves."""
    found = confirmed.confirmation.difference()
    accuracies = {WINNER: confirmed.confirmation.winner_test}
    accuracies[DEFAULT] = confirmed.confirmation.default_test
    in_percent = {
        **{f"test_percent/{side}": mean(tests) for side, tests in accuracies.items()},
        f"difference_points/{WINNER}": found.mean,
        f"difference_points_low/{WINNER}": found.low,
        f"difference_points_high/{WINNER}": found.high,
    }
    metrics = {name: in_points(value) for name, value in in_percent.items() if value is not None}
    if (correlation := correlation_of(trials)) is not None:
        metrics["probe_validation_rank_correlation"] = correlation
    tables: dict[str, str | pd.DataFrame] = {
        "best_trials": pd.DataFrame(best_rows(trials)),
        RECORD: text(data),
        layout.NOTE: data.note.json(),
    }
    sync.tracker.finish(
        sync.parent, metrics=metrics, tables=tables, files=dict(files), description=markdown(data)
    )
    if confirmed.student.state == "finished":
        sync.student(confirmed.student, confirmed.experiment)
    sync.settle(told_of(data, files))
