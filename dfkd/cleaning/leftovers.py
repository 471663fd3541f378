"""What runs that have ended or were killed have left behind."""

from collections.abc import Iterator

from dfkd.cleaning.items import Item, item
from dfkd.cleaning.references import read_record
from dfkd.cleaning.users import Users
from dfkd.storage import Storage, layout
from dfkd.storage.outcome import FINAL


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
    for key in storage.half_written():
        yield item(storage, "half-written", key, "its writer was stopped")
