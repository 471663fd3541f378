"""Reports of finished studies and sweeps: read from a ledger or MLflow, shown in the terminal and written."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

from dfkd.evidence import overview
from dfkd.identity import digest
from dfkd.reporting.console import Console
from dfkd.storage.files import replace_file
from dfkd.studies import page as report
from dfkd.studies import record as studies
from dfkd.studies import tables
from dfkd.studies.findings import Findings, StudyData
from dfkd.studies.record import folder_of, from_ledger
from dfkd.studies.selected import selected
from dfkd.sweeps import page as sweep_page
from dfkd.sweeps import record as sweeps
from dfkd.sweeps.findings import SweepData
from dfkd.tracking.reading import Tracked


def read_study(name: str, storage: Path, tracking_uri: str | None) -> StudyData:
    """From the ledger, or, where a server is named, from MLflow: the same either way."""
    return from_ledger(storage, name) if tracking_uri is None else Tracked(tracking_uri).study(name)


def read_sweep(name: str, storage: Path, tracking_uri: str | None) -> SweepData:
    """From the storage, or, where a server is named, from MLflow: the same either way."""
    return sweeps.read(storage, name) if tracking_uri is None else Tracked(tracking_uri).sweep(name)


def kinds_of(names: Sequence[str], storage: Path, tracking_uri: str | None) -> dict[str, bool]:
    """Which of these are sweeps; no names: all that there are. ValueError for what is neither a study nor a sweep."""
    if tracking_uri is None:
        where, found = str(storage), (studies.recorded(storage), sweeps.recorded(storage))
    else:
        tracked, done = Tracked(tracking_uri), "" if names else " AND attributes.status = 'FINISHED'"
        where, found = tracked.where, (tracked.names("study", done), tracked.names("sweep", done))
    known = {**dict.fromkeys(found[0], False), **dict.fromkeys(found[1], True)}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known) or 'none'}"
            raise ValueError(f"there is no study {name!r} in {where}, nor a sweep: {hint}")
    return {name: known[name] for name in names or known}


def write_report(findings: Findings, storage: Path) -> tuple[dict[str, Path | str], bool]:
    """The report's files by their names in MLflow, and whether any of them had to be written anew."""
    texts = report.written(findings, selected(findings.data, storage))
    return _write_all(folder_of(storage, findings.data.name) / "report", texts)


def write_sweep_report(data: SweepData, storage: Path) -> tuple[dict[str, Path | str], bool]:
    """Of a sweep: alike."""
    return _write_all(sweeps.folder_of(storage, data.name) / "report", sweep_page.written(data))


def write_overview(all_findings: list[Findings], searches: list[SweepData], storage: Path) -> Path:
    """Several reports side by side, with what they share; the page's path."""
    names = [findings.data.name for findings in all_findings] + [data.name for data in searches]
    folder = storage / "reports" / overview.folder_name(names)
    _write_all(folder, overview.written(all_findings, searches))
    return folder / "index.html"


def _write_all(folder: Path, texts: Mapping[str, str]) -> tuple[dict[str, Path | str], bool]:
    written = {folder / name: text for name, text in texts.items()}
    changed = {path: text for path, text in written.items() if not path.exists() or path.read_text() != text}
    for path, text in changed.items():
        _write(path, text)
    return {f"report/{path.name}": path for path in written}, bool(changed)


def _write(path: Path, text: str) -> None:
    replace_file(path, lambda half: half.write_text(text))


def digest_of(files: Mapping[str, Path | str]) -> str:
    """Of what these files hold, for `Receipts`."""
    return digest({name: Path(file).read_text() for name, file in files.items()})


def show_findings(findings: Findings, console: Console) -> None:
    """The table of the study and what has to be known beside it."""
    data = findings.data
    console.table(f"{data.question} ({data.name})", tables.HEADER, tables.rows(findings))
    if findings.effects:
        rows = tables.effect_rows(findings.effects)
        console.table("Effects, averaged over the other factors", tables.EFFECTS_HEADER, rows)
    console.line("differences to the baseline, paired by block, in points of test accuracy; p corrected by Holm")
    console.line(f"{findings.varies}; {findings.conditions}")
    for note in findings.notes:
        console.line(note)


def show_sweep(data: SweepData, console: Console) -> None:
    """The best trials, what was confirmed, and what has to be known beside it."""
    console.table(f"Best trials of {data.name}, by the probe", *sweep_page.best(data))
    if data.confirmation is not None:
        console.table("Confirmation", sweep_page.HEADER, sweep_page.confirmed(data))
    for line in sweep_page.facts(data):
        console.line(line)
