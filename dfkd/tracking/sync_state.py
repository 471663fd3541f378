"""Sync state: which MLflow was sent what, so that a finished study is sent once to each address."""

from dfkd.storage import Storage, layout
from dfkd.storage.layout import Key
from dfkd.tracking.address import database_file


class SyncState:
    """A file beside the record of a study or sweep: address -> subject -> digest of what was sent.

    Addresses stand there without credentials. Whoever throws away what a server holds deletes the
    file: the next call then sends it all again. A database file that is gone needs no such help.
    """

    def __init__(self, storage: Storage, folder: Key) -> None:
        self.storage, self._key = storage, folder / layout.SYNC_STATE

    def of(self, address: str) -> dict[str, str]:
        """Return what was sent to this address; {} where it was never sent in full, or is lost."""
        file = database_file(address)
        if file is not None and not file.exists():
            return {}
        return self._all().get(address, {})

    def note(self, address: str, told: dict[str, str]) -> None:
        """Add to what was sent to this address."""
        known = self.of(address)
        if told.items() <= known.items():
            return
        self.storage.write_json(self._key, self._all() | {address: known | told})

    def _all(self) -> dict[str, dict[str, str]]:
        try:
            found = self.storage.read_json(self._key)
        except (OSError, ValueError):  # not there, or damaged: all is told again
            return {}
        return found if isinstance(found, dict) else {}
