"""The files of a report: written where they differ from what lies there, and their digest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dfkd.identity import digest
from dfkd.storage import layout
from dfkd.storage.files import replace_file


def write_report_files(
    folder: Path, texts: Mapping[str, str]
) -> tuple[dict[str, Path | str], bool]:
    """Write each text below the folder, unless it is there already.

    Returns the files by their names in MLflow, and whether any has changed.
    """
    written = {folder / name: text for name, text in texts.items()}
    changed = {
        path: text
        for path, text in written.items()
        if not path.exists() or path.read_text() != text
    }
    for path, text in changed.items():
        _write(path, text)
    return {f"{layout.REPORT}/{path.name}": path for path in written}, bool(changed)


def _write(path: Path, text: str) -> None:
    replace_file(path, lambda half: half.write_text(text))


def digest_of(files: Mapping[str, Path | str]) -> str:
    """Return the digest of what these files hold."""
    return digest({name: Path(file).read_text() for name, file in files.items()})
