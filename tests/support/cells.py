"""What a cell leaves in a storage, for tests of cells."""

from dataclasses import replace
from pathlib import Path

from dfkd.storage import FolderStorage
from dfkd.storage.ledger import Ledger
from dfkd.storage.outcome import ENDED, Outcome
from dfkd.training.jobs import Job


def everything(storage: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in storage.rglob("*") if path.is_file()}


def student(storage: Path, job: Job) -> bytes:
    folder = Path(Ledger(FolderStorage(storage)).address(job.name))
    return (folder / "student.safetensors").read_bytes()


def told(outcome: Outcome) -> Outcome:
    """Without what is allowed to differ."""
    return replace(outcome, seconds=0.0, tags={**outcome.tags, ENDED: ""})


def files(storage: Path, job: Job) -> set[str]:
    return {path.name for path in Path(Ledger(FolderStorage(storage)).address(job.name)).iterdir()}
