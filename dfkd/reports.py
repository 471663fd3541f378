"""Reports of finished studies: read from a ledger or from MLflow, shown in the terminal, written and logged."""

from __future__ import annotations

from pathlib import Path

from dfkd.console import Console
from dfkd.evidence import report, tables
from dfkd.evidence.findings import Findings, StudyData
from dfkd.files import replace_file
from dfkd.studies import folder_of, from_ledger
from dfkd.tracked import Tracked
from dfkd.tracking import Tracker


def read_study(name: str, storage: Path, tracking_uri: str | None) -> StudyData:
    """From the ledger, or, where a server is named, from MLflow: the same either way."""
    return from_ledger(storage, name) if tracking_uri is None else Tracked(tracking_uri).study(name)


def write_report(findings: Findings, storage: Path) -> tuple[dict[str, Path | str], bool]:
    """The report's files by their names in MLflow, and whether any of them had to be written anew."""
    folder = folder_of(storage, findings.data.name) / "report"
    written = {folder / name: text for name, text in report.written(findings).items()}
    changed = {path: text for path, text in written.items() if not path.exists() or path.read_text() != text}
    for path, text in changed.items():
        _write(path, text)
    return {f"report/{path.name}": path for path in written}, bool(changed)


def _write(path: Path, text: str) -> None:
    replace_file(path, lambda half: half.write_text(text))


def log_report(findings: Findings, files: dict[str, Path | str], tracker: Tracker) -> None:
    """Put the files beside the study's run, as `run_study` has made it."""
    data = findings.data
    parent = tracker.parent(
        kind="study", name=data.name, identity=f"study {data.name}", params={}, tags={"study": data.name}
    )
    tracker.finish(parent, metrics={}, tables={}, files=files)


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
