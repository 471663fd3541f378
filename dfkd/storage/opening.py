"""From what a user names a storage by to the storage."""

from __future__ import annotations

import re
from pathlib import Path

from dfkd.storage.folder import FolderStorage
from dfkd.storage.storage import Storage
from dfkd.storage.variables import variable

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # "s3://", and "s3:/" as pathlib shortens it


def chosen_storage(place: str | Path | None) -> Storage:
    """Return the storage that is named, by $DFKD_STORAGE otherwise, or the one that is usual here.

    Raises ValueError for one that cannot be used.
    """
    named = variable("DFKD_STORAGE") if place is None else place
    if named is not None:
        return open_storage(named)
    # a job's working directory is a scratch folder of Ray's: results written there would be lost
    return open_storage("~/dfkd-runs" if variable("RAY_JOB_CONFIG_JSON_ENV_VAR") else "runs")


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
