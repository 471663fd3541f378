"""The comparison of what is finished: each study and sweep that is named is shown, written and
logged.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from dfkd.comparison.reports import kinds_of, read_study, read_sweep, write_overview
from dfkd.reporting.console import Console
from dfkd.reporting.report_files import digest_of
from dfkd.storage import Storage, layout
from dfkd.studies.findings import Findings, find
from dfkd.studies.page import write_report
from dfkd.studies.terminal import print_findings
from dfkd.sweeps.findings import SweepData
from dfkd.sweeps.page import write_report as write_sweep_report
from dfkd.sweeps.terminal import print_sweep
from dfkd.tracking import RunSync, Tracker


@dataclass
class _Comparison:
    """One call, and what it has shown."""

    storage: Storage
    tracking_uri: str | None
    console: Console
    tracker: Tracker | None
    findings: list[Findings] = field(default_factory=list)
    searches: list[SweepData] = field(default_factory=list)

    def study(self, name: str) -> None:
        findings = find(read_study(name, self.storage, self.tracking_uri))
        self.findings.append(findings)
        print_findings(findings, self.console)
        self._tell("study", name, *write_report(findings, self.storage))

    def sweep(self, name: str) -> None:
        data = read_sweep(name, self.storage, self.tracking_uri)
        self.searches.append(data)
        print_sweep(data, self.console)
        self._tell("sweep", name, *write_sweep_report(data, self.storage))

    def _tell(self, kind: str, name: str, files: dict[str, Path | str], changed: bool) -> None:
        page = Path(files[f"{layout.REPORT}/{layout.PAGE}"])
        if self.tracker is not None:
            self._log(self.tracker, kind, name, files, changed)
        self.console.line(f"{'written to' if changed else 'unchanged:'} {page.parent}")
        self.console.line(f"open:  {page}\n")

    def _log(
        self, tracker: Tracker, kind: str, name: str, files: dict[str, Path | str], changed: bool
    ) -> None:
        """Beside the run of the study or sweep, as its driver has made it; also what an MLflow that
        was away missed.
        """
        identity, folder = (
            f"study {name}" if kind == "study" else name,
            Path(files[f"{layout.REPORT}/{layout.PAGE}"]).parents[1],
        )
        sync = RunSync(
            tracker, folder, kind=kind, name=name, identity=identity, params={}, tags={kind: name}
        )
        told = {"report": digest_of(files)}
        if sync.is_due(told) and (changed or sync.is_known()):
            sync.open()
            tracker.finish(sync.parent, metrics={}, tables={}, files=files)
            sync.settle(told)


def compare(
    names: Sequence[str], storage: Storage, tracking_uri: str | None, *, log: bool, console: Console
) -> None:
    """By name, studies also as modules; none: all in the storage. ValueError for what there is not,
    first of all.
    """
    kinds = kinds_of([name.split(".")[-1] for name in names], storage, tracking_uri)
    if not kinds:
        raise ValueError(
            f"there is no study in {storage}: run one with python -m platform.ablate, or name "
            "--storage"
        )
    with closing(Tracker(storage, tracking_uri, warn=console.warn)) as tracker:
        call = _Comparison(storage, tracking_uri, console, tracker if log else None)
        for name, searched in kinds.items():
            (call.sweep if searched else call.study)(name)
    if len(kinds) > 1:
        page = write_overview(call.findings, call.searches, storage)
        console.line(f"side by side, with what they share:  {page}\n")
    cells = [f.data.cells["cell"].iloc[0] for f in call.findings] + [
        s.trials[0].cell for s in call.searches
    ]
    console.line(
        f"next:  python -m platform.show {cells[0]}    a cell: its record, its curve, how to "
        "compute it again"
    )
