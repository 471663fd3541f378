"""Finished studies and sweeps, read from a ledger or MLflow, and the page that shows several side
by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dfkd.comparison import page as overview
from dfkd.reporting.nearest import nearest
from dfkd.reporting.report_files import write_report_files
from dfkd.storage import Storage, layout
from dfkd.studies import reading as studies
from dfkd.studies.findings import Findings, StudyData
from dfkd.studies.record import recorded
from dfkd.sweeps import record as sweeps
from dfkd.sweeps.findings import SweepData
from dfkd.tracking.reading import Tracked


def read_study(name: str, storage: Storage, tracking_uri: str | None) -> StudyData:
    """From the ledger, or, where a server is named, from MLflow: the same either way."""
    if tracking_uri is None:
        return studies.from_ledger(storage, name)
    return studies.from_mlflow(Tracked(tracking_uri), name)


def read_sweep(name: str, storage: Storage, tracking_uri: str | None) -> SweepData:
    """From the storage, or, where a server is named, from MLflow: the same either way."""
    if tracking_uri is None:
        return sweeps.read(storage, name)
    return sweeps.from_mlflow(Tracked(tracking_uri), name)


def kinds_of(names: Sequence[str], storage: Storage, tracking_uri: str | None) -> dict[str, bool]:
    """Which of these are sweeps; no names: all that there are. ValueError for what is neither a
    study nor a sweep.
    """
    if tracking_uri is None:
        where, found = str(storage), (recorded(storage), sweeps.recorded(storage))
    else:
        tracked, done = (
            Tracked(tracking_uri),
            "" if names else " AND attributes.status = 'FINISHED'",
        )
        where, found = tracked.where, (tracked.names("study", done), tracked.names("sweep", done))
    known = {**dict.fromkeys(found[0], False), **dict.fromkeys(found[1], True)}
    for name in names:
        if name not in known:
            raise ValueError(
                f"there is no study {name!r} in {where}, nor a sweep: {nearest(name, known)}"
            )
    return {name: known[name] for name in names or known}


def write_overview(
    all_findings: list[Findings], searches: list[SweepData], storage: Storage
) -> Path:
    """Several reports side by side, with what they share; the page's path."""
    names = [findings.data.name for findings in all_findings] + [data.name for data in searches]
    folder = storage / layout.overview(overview.folder_name(names))
    write_report_files(folder, overview.written(all_findings, searches))
    return folder / layout.PAGE
