"""From what a user names a storage by to the storage."""

from __future__ import annotations

import re
from pathlib import Path

from dfkd.storage.folder import FolderStorage
from dfkd.storage.storage import Storage

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # "s3://", and "s3:/" as pathlib shortens it


def open_storage(place: str | Path) -> Storage:
    """Return the storage with this address, made absolute so that every worker means the same.

    Raises ValueError for an address that is no folder: an object store cannot be one yet.
    """
    text = str(place)
    if not text or SCHEME.match(text):
        raise ValueError(
            f"the storage must be a folder, but got {text!r}: name one that every node sees, "
            "such as --storage /mnt/shared/runs; object stores cannot be used yet"
        )
    return FolderStorage(Path(text).expanduser().absolute())
