"""From what a user names a storage by to the storage."""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from dfkd.storage.folder import FolderStorage
from dfkd.storage.layout import Key
from dfkd.storage.storage import Storage, Unreachable
from dfkd.storage.variables import expanded, variable

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
    """Return the storage with this address: a folder, "s3://bucket/prefix", "gs://..." or "az://".

    A folder is made absolute, so that every worker means the same. Raises ValueError for what is
    neither, and within seconds for a bucket that is not there or does not answer.
    """
    text = str(place)
    if not text:
        raise ValueError(
            "the storage must be a folder or a URI, but got '': name one such as /mnt/shared/runs "
            "or s3://bucket/runs"
        )
    if not SCHEME.match(text):
        return _in_folder(expanded(text).absolute())
    return _in_object_store(re.sub(r":/(?!/)", "://", text, count=1))


def _in_folder(path: Path) -> Storage:
    file = next((part for part in (path, *path.parents) if os.path.isfile(part)), None)
    if file is not None:
        raise ValueError(
            f"the storage {path} must be a folder, but {file} is a file: name another one with "
            "--storage"
        )
    return FolderStorage(path)


def _in_object_store(uri: str) -> Storage:
    from dfkd.storage.object_client import check_address
    from dfkd.storage.object_store import ObjectStorage

    check_address(uri)
    parts = urlsplit(uri)
    storage = ObjectStorage(f"{parts.scheme}://{parts.netloc}", Key(parts.path.strip("/")))
    try:
        storage.check_reachable()
    except Unreachable as error:
        raise ValueError(str(error)) from None
    return storage
