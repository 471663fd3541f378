"""Cleaning: what lies in a storage without anything referring to it, and its removal.

What refers: the records of cells and the run contexts of studies, sweeps and retunings, each to a
teacher and a pool by their digests, and memory maps, whose notes name the pool's shards and the
files of scores. Where that cannot be told, a thing is kept. Nothing goes that does not carry our
mark, nor a place that a recorded cell was computed from.
"""

import contextlib
import time
from collections.abc import Iterable
from pathlib import Path

from dfkd.cleaning.items import ALWAYS, Item
from dfkd.cleaning.leftovers import leftovers
from dfkd.cleaning.references import References, references
from dfkd.cleaning.sources import unused_sources
from dfkd.cleaning.users import Users, mapped_files
from dfkd.storage import Storage, layout
from dfkd.storage.layout import Key

ASK_EVERY_S = 1.0


def unreferenced(storage: Storage, older_than_s: float, users: Users) -> list[Item]:
    """Return all that may go and was not written to for so long.

    While someone works there, only what no process can need. Links and what lies outside the
    storage are left alone.
    """
    known, busy, mapped = references(storage), bool(users.now()), mapped_files()
    newest = time.time() - older_than_s
    return [
        item
        for item in (*unused_sources(known), *leftovers(storage, users))
        if (item.touched <= newest or item.kind == "lease")  # its holder was watched
        and not (busy and item.kind not in ALWAYS)
        and not _is_elsewhere_or_used(storage.path(item.key), storage, known, mapped)
    ]


def remove(items: Iterable[Item], storage: Storage, users: Users) -> int:
    """Remove the items until somebody begins to work here; return the bytes that are free now."""
    freed, asked_s = 0, 0.0
    for item in sorted(items, key=lambda item: item.kind not in ALWAYS):
        if item.kind not in ALWAYS and time.monotonic() > asked_s + ASK_EVERY_S:
            if users.now():
                return freed
            asked_s = time.monotonic()
        if item.kind == "lease":
            _remove_lease(storage, item.key)
        else:
            storage.delete(item.key)
        if not storage.exists(item.key):
            freed += item.bytes
            _remove_if_empty(storage, item.key.parent)
    return freed


def _remove_lease(storage: Storage, key: Key) -> None:
    """Remove a lease; one that may be taken over only where no other process holds it by now."""
    if key.parent == layout.ROOT:
        storage.delete(key)
        return
    lease = storage.lease(key)
    if lease.acquire():
        lease.release()


def _remove_if_empty(storage: Storage, folder: Key) -> None:
    path = storage.path(folder)
    if path is not None and folder != layout.ROOT:
        with contextlib.suppress(OSError):  # there is more in it
            path.rmdir()


def _is_elsewhere_or_used(
    path: Path | None, storage: Storage, known: References, mapped: Iterable[Path]
) -> bool:
    """Return whether a thing lies outside the storage, or a cell or a process uses its place.

    path: None in an object store, where nothing else than this storage can be.
    """
    root = storage.path(layout.ROOT)
    if path is None or root is None:
        return False
    if path.is_symlink() or not path.resolve().is_relative_to(root.resolve()):
        return True
    return known.protects(path) or any(one.is_relative_to(path.resolve()) for one in mapped)
