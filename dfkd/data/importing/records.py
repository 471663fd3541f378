"""Records: JSON files that say which shards were written, and that all of them are there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dfkd.data.importing.shards import Shard, written_shard


def entry_of(shard: Shard) -> dict[str, Any]:
    """Return what a record says of a shard."""
    return {
        "file": shard.path.name,
        "digest": shard.digest,
        "rows": shard.rows,
        "bytes": shard.path.stat().st_size,
    }


def shard_of(entry: dict[str, Any], folder: Path) -> Shard:
    """Return the shard that an entry of a record in this folder stands for."""
    return Shard(folder / entry["file"], entry["digest"], entry["rows"])


def entry_without_repeats(
    folder: Path, entry: dict[str, Any], rest: dict[str, str]
) -> dict[str, Any]:
    """Return the entry of the shard, or of the file that has what is left of it.

    rest: names of such files by the names of shards.
    """
    if entry["file"] not in rest:
        return entry
    return entry_of(written_shard(folder / rest[entry["file"]]))


def intact(path: Path) -> dict[str, Any] | None:
    """Return a record, or None unless all shards that it names are there in their size."""
    if not path.is_file():
        return None
    written: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for entry in written["shards"]:
        shard = path.parent / entry["file"]
        if not shard.is_file() or shard.stat().st_size != entry["bytes"]:
            return None
    return written
