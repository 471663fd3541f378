"""Receipts: which MLflow was told what, so that a finished study tells it once, and later one that
was away.
"""

from __future__ import annotations

import json
from pathlib import Path

from dfkd.storage import layout
from dfkd.storage.files import write_json


class SyncState:
    """`tracked.json` in the folder of a study or sweep: address -> subject -> digest of what was
    told.

    Addresses are shown ones, without credentials. Whoever throws away what a server holds deletes
    the file: the next call then tells it all again. A database file that is gone needs no such
    help.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / layout.SYNC_STATE

    def of(self, address: str) -> dict[str, str]:
        """Empty where nothing was told to this address in full, or what was told is lost."""
        if (
            address.startswith("sqlite:///")
            and not Path(address.removeprefix("sqlite:///")).exists()
        ):
            return {}
        return self._all().get(address, {})

    def note(self, address: str, told: dict[str, str]) -> None:
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
