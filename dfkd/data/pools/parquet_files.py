"""A user's own Parquet files: which there are, and what is remembered of them. N rows."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from dfkd.data.importing.companions import is_companion
from dfkd.data.importing.places import Place
from dfkd.data.importing.shards import ImageShape, has_row_ids, read_row_ids
from dfkd.storage.files import write_json


def parquet_files(place: Place, path: str) -> dict[str, tuple[int, int]]:
    """Return the Parquet files directly in a folder, sorted by name: size and time of change.

    path: as the user wrote it, for the ValueError where there are none.
    """
    found = sorted(place.children(b"", set()))
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


def remembered(memory: Path, paths: list[Path]) -> dict[str, dict[str, Any]]:
    """Return what is known of each file by its name; what is new or has changed is looked at.

    ValueError where all files together have no rows, or number two rows alike.
    """
    known: dict[str, dict[str, Any]] = (
        json.loads(memory.read_text(encoding="utf-8")) if memory.is_file() else {}
    )
    stamps = {path: _stamp(path) for path in paths}
    changed = [path for path in paths if known.get(path.name, {}).get("stamp") != stamps[path]]
    if not changed and len(known) == len(paths):
        return known
    _check_rows(paths)
    fresh = {path.name: _described(path, stamps[path]) for path in changed}
    entries = {path.name: fresh.get(path.name) or known[path.name] for path in paths}
    write_json(memory, entries)
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


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


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
