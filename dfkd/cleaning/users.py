"""Who works in a storage now."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from dfkd.storage import Storage, layout
from dfkd.storage.layout import Key
from dfkd.storage.lease import Lease, Say, Wait


class Users:
    """The leases in a storage. They are kept, since each watches its holder for signs of life."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._leases: dict[Key, Lease] = {}

    def now(self) -> list[str]:
        """Return who works here, each as "a command", "cell <name>", "sweep <name>", ..."""
        return [_shown(key) for key, lease in self.leases().items() if lease.holder() is not None]

    def leases(self) -> dict[Key, Lease]:
        """Return all leases that lie in the storage now."""
        keys = set(_keys(self.storage))
        kept = {key: lease for key, lease in self._leases.items() if key in keys}
        new = {key: self.storage.lease(key) for key in sorted(keys - kept.keys())}
        self._leases = kept | new
        return self._leases

    def settle(self, say: Say) -> None:
        """Wait until it is known of every holder, on whichever host, whether it lives."""
        for key, lease in self.leases().items():
            wait = Wait(lease, f"a sign of life of {_shown(key)}", say)
            while (holder := lease.holder()) is not None and not holder.alive:
                wait.poll()


def _keys(storage: Storage) -> Iterator[Key]:
    for name in storage.list(layout.ROOT):
        if name.startswith(layout.IN_USE):
            yield Key(name)
    for folder in (layout.CELLS, layout.SWEEPS, layout.RETUNINGS):
        for name in storage.list(folder):
            key = folder / name / layout.LEASE
            if storage.exists(key):
                yield key


def _shown(key: Key) -> str:
    kinds = {layout.CELLS: "cell", layout.SWEEPS: "sweep", layout.RETUNINGS: "retuning"}
    kind = kinds.get(key.parent.parent)
    return "a command" if kind is None else f"{kind} {key.parent.name}"


def mapped_files() -> set[Path]:
    """Return files that processes of this machine have mapped into their memory.

    A notebook that has opened a memory map, for instance, holds no lease.
    """
    found = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):  # another user's, or gone
            found |= {
                line.split(maxsplit=5)[5]
                for line in maps.read_text(encoding="utf-8").splitlines()
                if line.endswith(".npy")
            }
    return {Path(name) for name in found}
