"""Compares what is finished: prints, writes and logs each study and sweep that is named."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dfkd.comparison.own_results import MLFLOW, Columns, read_own
from dfkd.comparison.page import folder_name
from dfkd.comparison.reports import Kind, kinds_of, read_study, read_sweep, write_overview
from dfkd.reporting.console import Console
from dfkd.reporting.report_files import digest_of, write_report_files
from dfkd.reporting.shell import option
from dfkd.storage import Storage, layout
from dfkd.storage.layout import Key
from dfkd.storage.notes import annotate, read_note
from dfkd.studies.findings import Findings, find
from dfkd.studies.page import write_report
from dfkd.studies.page import written as report_of
from dfkd.studies.terminal import print_findings
from dfkd.sweeps.findings import SweepData
from dfkd.sweeps.page import write_report as write_sweep_report
from dfkd.sweeps.terminal import print_sweep
from dfkd.tracking import RunSync, Tracker
from dfkd.tracking.address import required_tracking_uri, tracking_uri_of


@dataclass(frozen=True, kw_only=True)
class _Report:
    """A written report. files: by their names in MLflow."""

    kind: Kind
    name: str
    files: dict[str, Path | str]
    is_new: bool

    @property
    def folder(self) -> Key:
        """Where the study or sweep lies."""
        return _folder(self.kind, self.name)


def compare(
    names: Sequence[str],
    storage: Storage,
    tracking_uri: str | None,
    *,
    log: bool,
    console: Console,
    note: str | None = None,
    tags: Sequence[str] = (),
) -> None:
    """Print and write the report of each study and sweep of these names, and one of them all.

    names: studies also as modules; none means all in the storage, or in MLflow if its URI is given.
    log: put the reports into MLflow, too. note, tags: of the one that is named. Raises ValueError
    for a name that there is not, before anything is written.
    """
    kinds = kinds_of(names, storage, tracking_uri)
    if not kinds:
        raise ValueError(
            f"there is no study in {storage}: run one with python -m platform.ablate, or name "
            "--storage"
        )
    if note is not None or tags:
        _annotate(kinds, storage, note, tags)
    found = list[Findings | SweepData]()
    with _tracker(storage, tracking_uri, log, console) as tracker:
        for name, kind in kinds.items():
            data, report = _reported(name, kind, storage, tracking_uri, console)
            found.append(data)
            if tracker is not None:
                _log(report, tracker)
            _say_where(report.folder / layout.REPORT, report.is_new, storage, console)
            console.line("")
    studies = [data for data in found if isinstance(data, Findings)]
    sweeps = [data for data in found if isinstance(data, SweepData)]
    if len(kinds) > 1:
        page = write_overview(studies, sweeps, storage)
        console.document.wrote(page)
        console.line(f"side by side, with what they share:  {page}\n")
    cell = studies[0].data.cells["cell"].iloc[0] if studies else sweeps[0].trials[0].cell
    if storage.exists(layout.cell(cell)):
        where = option("storage", storage)
        console.line(
            f"next:  python -m platform.show {cell} {where}    a cell: its record, its curve, how "
            "to compute it again"
        )


def compare_own(
    source: str, columns: Columns, storage: Storage, tracking_uri: str | None, console: Console
) -> None:
    """Print and write the report of results from elsewhere; see `own_results.read_own`."""
    in_mlflow = source.startswith(MLFLOW)
    data = read_own(
        source, columns, required_tracking_uri(storage, tracking_uri) if in_mlflow else ""
    )
    findings = find(data)
    print_findings(findings, console)
    folder = layout.overview(folder_name([data.name]))
    _, is_new = write_report_files(storage, folder, report_of(findings))
    _say_where(folder, is_new, storage, console)


def _reported(
    name: str, kind: Kind, storage: Storage, tracking_uri: str | None, console: Console
) -> tuple[Findings | SweepData, _Report]:
    """Print a study or sweep, write its report, and return both."""
    data: Findings | SweepData
    if kind == "study":
        data = find(
            read_study(name, storage, tracking_uri), storage if tracking_uri is None else None
        )
        print_findings(data, console)
        files, is_new = write_report(data, storage)
    else:
        data = read_sweep(name, storage, tracking_uri)
        print_sweep(data, console)
        files, is_new = write_sweep_report(data, storage, console.warn)
    return data, _Report(kind=kind, name=name, files=files, is_new=is_new)


def _say_where(folder: Key, is_new: bool, storage: Storage, console: Console) -> None:
    """Print where a report lies."""
    page = storage.address(folder / layout.PAGE)
    console.document.wrote(page)
    console.line(f"{'written to' if is_new else 'unchanged:'} {storage.address(folder)}")
    console.line(f"open:  {page}")


def _annotate(
    kinds: Mapping[str, Kind], storage: Storage, note: str | None, tags: Sequence[str]
) -> None:
    if len(kinds) != 1:
        raise ValueError(f"a note is of one study or sweep: name one of {', '.join(kinds)}")
    [(name, kind)] = kinds.items()
    annotate(storage, _folder(kind, name), note, tags)


def _folder(kind: Kind, name: str) -> Key:
    return layout.study(name) if kind == "study" else layout.sweep(name)


@contextmanager
def _tracker(
    storage: Storage, tracking_uri: str | None, log: bool, console: Console
) -> Iterator[Tracker | None]:
    """Give what puts reports into MLflow; None where that is not wanted, or there is no MLflow."""
    if not log or tracking_uri_of(storage, tracking_uri) is None:
        yield None
        return
    with closing(Tracker(storage, tracking_uri, warn=console.warn)) as tracker:
        yield tracker


def _log(report: _Report, tracker: Tracker) -> None:
    """Add the report to the run of the study or sweep in MLflow.

    A report that is not new is sent only to an MLflow that has been told of the study before.
    """
    identity = f"study {report.name}" if report.kind == "study" else report.name
    tags = {report.kind: report.name, **read_note(tracker.storage, report.folder).in_mlflow()}
    sync = RunSync(
        tracker,
        report.folder,
        kind=report.kind,
        name=report.name,
        identity=identity,
        params={},
        tags=tags,
    )
    told = {"report": digest_of(report.files)}
    if sync.is_due(told) and (report.is_new or sync.is_known()):
        sync.open()
        tracker.finish(sync.parent, metrics={}, tables={}, files=report.files)
        sync.settle(told)
