"""A user's own Parquet files: which there are, and what is remembered of them. N rows."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from dfkd.data.importing.columns import has_row_ids, read_row_ids
from dfkd.data.importing.companions import is_companion
from dfkd.data.importing.places import Place
from dfkd.data.importing.shards import ImageShape
from dfkd.storage import StoredFile


def parquet_files(place: Place, path: str) -> dict[str, tuple[int, int]]:
    """Return the Parquet files directly in a folder, sorted by name: size and time of change.

    path: as the user wrote it, for the ValueError where there are none.
    """
    found = sorted(place.children(b"", set()))
    lost = [entry for entry in found if entry.name.endswith(b".parquet") and entry.reason]
    if lost:
        name = lost[0].name.decode("utf-8", "backslashreplace")
        raise ValueError(
            f"every *.parquet must be a file that can be read, but {name} in {path} is not "
            f"({lost[0].reason}, {lost[0].detail}): mend it, or take it out of the folder"
        )
    names = {
        entry.name.decode("utf-8", "surrogateescape"): (entry.size, entry.stamp)
        for entry in found
        if entry.name.endswith(b".parquet") and not entry.reason and not is_companion(entry.name)
    }
    if names:
        return names
    first = found[0].name.decode("utf-8", "backslashreplace").rstrip("/") if found else ""
    what = f"{len(found)} other entries, such as {first!r}" if found else "nothing"
    raise ValueError(
        f"a pool must have *.parquet files directly in its folder, but got {what} in {path}; write "
        "the images there as Parquet, or name the folder that has the shards"
    )


def remembered(memory: StoredFile, files: Sequence[StoredFile]) -> dict[str, dict[str, Any]]:
    """Return what is known of each file by its name; what is new or has changed is looked at.

    ValueError where all files together have no rows, or number two rows alike.
    """
    known: dict[str, dict[str, Any]] = {}
    with suppress(FileNotFoundError, ValueError):  # not there, or damaged: all is looked at again
        known = memory.storage.read_json(memory.key)
    stamps = {file.name: _stamp(file) for file in files}
    changed = [file for file in files if known.get(file.name, {}).get("stamp") != stamps[file.name]]
    if not changed and len(known) == len(files):
        return known
    _check_rows([file.path for file in files])
    fresh = {file.name: _described(file.path, stamps[file.name]) for file in changed}
    entries = {file.name: fresh.get(file.name) or known[file.name] for file in files}
    memory.storage.write_json(memory.key, entries)
    return entries


def digest_at_shape(
    path: Path, bytes_digest: str, image_shape: ImageShape, column: str = ""
) -> str:
    """Return the digest of a file as a shard of images of this shape.

    The same bytes are other images at another size or in another column, and other rows where ids
    come from the file's name.
    """
    numbered_by = "row_id" if has_row_ids(path) else path.name
    return sha256(f"{bytes_digest} {image_shape} {numbered_by}{column}")


def sha256(text: str) -> str:
    """Return the hexadecimal SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def _stamp(file: StoredFile) -> list[int]:
    entry = file.entry()
    return [entry.bytes, entry.modified_ns]


def _described(path: Path, stamp: list[int]) -> dict[str, Any]:
    with path.open("rb") as file:
        bytes_digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"stamp": stamp, "rows": pq.read_metadata(path).num_rows, "bytes_digest": bytes_digest}


def _check_rows(paths: list[Path]) -> None:
    parts = [read_row_ids(path) for path in paths]
    row_id_N = np.concatenate(parts)
    if not len(row_id_N):
        raise ValueError(
            f"a pool must have rows, but got {len(paths)} empty shards in {paths[0].parent}; fill "
            "them"
        )
    _, first = np.unique(row_id_N, return_index=True)
    if len(first) < len(row_id_N):
        repeated = int(np.setdiff1d(np.arange(len(row_id_N)), first)[0])
        ends = np.cumsum([len(part) for part in parts])
        shard = paths[int(np.searchsorted(ends, repeated, side="right"))]
        raise ValueError(
            f"row_id must be unique in the pool, but got {len(row_id_N) - len(first)} repeated, "
            f"such as {row_id_N[repeated]} in {shard}; number the rows anew, or leave the column "
            "out"
        )
