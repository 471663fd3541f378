"""Reads finished studies and sweeps, and writes the page that shows several side by side."""

from collections.abc import Sequence
from typing import Literal

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

Kind = Literal["study", "sweep"]


def read_study(name: str, storage: Storage, tracking_uri: str | None) -> StudyData:
    """Read a study from the ledger, or from MLflow where a server is named: the same result."""
    if tracking_uri is None:
        return studies.from_ledger(storage, name)
    return studies.from_mlflow(Tracked(tracking_uri), name)


def read_sweep(name: str, storage: Storage, tracking_uri: str | None) -> SweepData:
    """Read a sweep from the storage, or from MLflow where a server is named: the same result."""
    if tracking_uri is None:
        return sweeps.read(storage, name)
    return sweeps.from_mlflow(Tracked(tracking_uri), name)


def kinds_of(names: Sequence[str], storage: Storage, tracking_uri: str | None) -> dict[str, Kind]:
    """Return of what kind each of these names is; without names, all that there are.

    A study may be named by its module; a name itself may hold dots, of a parameter that was set.
    Raises ValueError for a name that is neither a study nor a sweep.
    """
    if tracking_uri is None:
        where, one, other = str(storage), recorded(storage), sweeps.recorded(storage)
    else:
        tracked = Tracked(tracking_uri)
        ended = "" if names else " AND attributes.status = 'FINISHED'"
        where = tracked.where
        one, other = tracked.names("study", ended), tracked.names("sweep", ended)
    known: dict[str, Kind] = {**dict.fromkeys(one, "study"), **dict.fromkeys(other, "sweep")}
    asked = [name if name in known else name.split(".")[-1] for name in names]
    for name in asked:
        if name not in known:
            raise ValueError(
                f"there is no study {name!r} in {where}, nor a sweep: {nearest(name, known)}"
            )
    return {name: known[name] for name in asked or known}


def write_overview(
    found: Sequence[Findings], searches: Sequence[SweepData], storage: Storage
) -> str:
    """Write the page of several reports and return its path or URI."""
    names = [findings.data.name for findings in found] + [data.name for data in searches]
    folder = layout.overview(overview.folder_name(names))
    write_report_files(storage, folder, overview.written(found, searches))
    return storage.address(folder / layout.PAGE)
