"""The files of a report: written where they differ from what lies there, and their digest."""

from collections.abc import Mapping
from pathlib import Path

from dfkd.identity import digest
from dfkd.storage import Storage, layout
from dfkd.storage.layout import Key


def write_report_files(
    storage: Storage, folder: Key, texts: Mapping[str, str]
) -> tuple[dict[str, Path | str], bool]:
    """Write each text below the folder, unless it is there already.

    Returns the files by their names in MLflow, and whether any has changed.
    """
    changed = [name for name, text in texts.items() if not _holds(storage, folder / name, text)]
    for name in changed:
        storage.write_text(folder / name, texts[name])
    files = {f"{layout.REPORT}/{name}": storage.local(folder / name) for name in texts}
    return dict(files), bool(changed)


def _holds(storage: Storage, key: Key, text: str) -> bool:
    return storage.exists(key) and storage.get(key) == text.encode()


def digest_of(files: Mapping[str, Path | str]) -> str:
    """Return the digest of what these files hold."""
    return digest({name: Path(file).read_text(encoding="utf-8") for name, file in files.items()})
