"""What runs that have ended or were killed have left behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from dfkd.cleaning.items import Item, item
from dfkd.cleaning.references import read_record
from dfkd.cleaning.users import Users
from dfkd.storage import Storage, layout
from dfkd.storage.files import is_half
from dfkd.storage.layout import Key
from dfkd.storage.ledger import FINAL


def leftovers(storage: Storage, users: Users) -> Iterator[Item]:
    """Yield checkpoints of finished cells, leases without a holder, scratch, half-written files."""
    for name in storage.list(layout.CELLS):
        folder = layout.cell(name)
        finished = read_record(storage, folder / layout.RECORD).get("state") in FINAL
        if finished and storage.exists(folder / layout.CHECKPOINT):
            yield item(storage, "checkpoint", folder / layout.CHECKPOINT, "its cell is finished")
    for key, lease in users.leases().items():
        if lease.holder() is None:
            yield item(storage, "lease", key, "its holder is gone")
    for scratch in (layout.TUNE_SCRATCH, layout.TRAIN_SCRATCH):
        for name in storage.list(scratch):
            if storage.exists(scratch / name / layout.SCRATCH_NOTE):
                yield item(storage, "scratch", scratch / name, "Ray's own notes of an ended run")
    for key in _half_written(storage):
        yield item(storage, "half-written", key, "its writer was stopped")


def _half_written(storage: Storage) -> Iterator[Key]:
    """Yield what was never put in place: nothing else has a name like ".record.json.<32 digits>".

    In a user's own folder below ours, a name of 32 digits alone may be anything.
    """
    root = storage.local(layout.ROOT)
    yield from (Key(path.name) for path in root.glob(".*") if is_half(path.name))
    for key in layout.FOLDERS:
        for folder, folders, files in os.walk(root / key):
            for name in sorted((*folders, *files)):
                if is_half(name) and name.count(".") > 1:
                    yield Key((Path(folder) / name).relative_to(root))
            folders[:] = [inner for inner in folders if not is_half(inner)]
