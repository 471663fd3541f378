"""Folders that are needed while a run lasts."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from dfkd.storage import layout
from dfkd.storage.layout import Key
from dfkd.storage.storage import Storage

NOTE = "A run's scratch. It goes with the run; after one that was killed, with platform.clean.\n"


@contextmanager
def scratch_folder(storage: Storage, where: Key) -> Iterator[Path]:
    """Give a new folder below a place that every node sees; it is gone at the end.

    Its note tells whoever cleans up that it is ours. Beside an object store it lies on this machine
    only: Ray asks other nodes for it where checkpoints are reported, and ours are not.
    """
    key = where / uuid.uuid4().hex
    path = storage.path(key)
    if path is None:
        with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            yield Path(folder)
        return
    storage.write_text(key / layout.SCRATCH_NOTE, NOTE)
    try:
        yield path
    finally:
        with suppress(OSError):  # a process that has not ended yet may write to it
            storage.delete(key)
