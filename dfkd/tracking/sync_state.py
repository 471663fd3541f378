"""Sync state: which MLflow was sent what, so that a finished study is sent once to each address."""

from __future__ import annotations

import json
from pathlib import Path

from dfkd.storage import layout
from dfkd.storage.files import write_json


class SyncState:
    """A file beside the record of a study or sweep: address -> subject -> digest of what was sent.

    Addresses stand there without credentials. Whoever throws away what a server holds deletes the
    file: the next call then sends it all again. A database file that is gone needs no such help.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / layout.SYNC_STATE

    def of(self, address: str) -> dict[str, str]:
        """Return what was sent to this address; {} where it was never sent in full, or is lost."""
        if (
            address.startswith("sqlite:///")
            and not Path(address.removeprefix("sqlite:///")).exists()
        ):
            return {}
        return self._all().get(address, {})

    def note(self, address: str, told: dict[str, str]) -> None:
        """Add to what was sent to this address."""
        known = self.of(address)
        if told.items() <= known.items():
            return
        write_json(self._path, self._all() | {address: known | told})

    def _all(self) -> dict[str, dict[str, str]]:
        try:
            found = json.loads(self._path.read_text())
        except (OSError, ValueError):  # not there, or damaged: all is told again
            return {}
        return found if isinstance(found, dict) else {}
