"""Records: JSON files that say which shards were written, and that all of them are there."""

from collections.abc import Mapping
from typing import Any

from dfkd.data.importing.shards import Shard, written_shard
from dfkd.storage import Storage, layout
from dfkd.storage.layout import Key


def entry_of(shard: Shard) -> dict[str, Any]:
    """Return what a record says of a shard."""
    return {
        "file": shard.file.name,
        "digest": shard.digest,
        "rows": shard.rows,
        "bytes": shard.file.entry().bytes,
    }


def shard_of(entry: dict[str, Any], folder: Storage) -> Shard:
    """Return the shard that an entry of a record in this folder stands for."""
    return Shard(folder.file(entry["file"]), entry["digest"], entry["rows"])


def entry_without_repeats(
    folder: Storage, entry: dict[str, Any], rest: dict[str, str]
) -> dict[str, Any]:
    """Return the entry of the shard, or of the file that has what is left of it.

    rest: names of such files by the names of shards.
    """
    if entry["file"] not in rest:
        return entry
    return entry_of(written_shard(folder.file(rest[entry["file"]])))


def sizes_in(folder: Storage) -> dict[str, int]:
    """Return the bytes of all files directly in a folder, by name: one look for many shards."""
    return {str(entry.key): entry.bytes for entry in folder.walk(layout.ROOT)}


def intact(
    folder: Storage, record: str, sizes: Mapping[str, int] | None = None
) -> dict[str, Any] | None:
    """Return a record, or None unless all shards that it names are there in their size.

    A damaged record counts as none: what it tells of is made again.

    sizes: what `sizes_in` has said of the folder, where several records are looked at.
    """
    there = sizes_in(folder) if sizes is None else sizes
    if record not in there:
        return None
    try:
        written: dict[str, Any] = folder.read_json(Key(record))
    except ValueError:
        return None
    for entry in written["shards"]:
        if there.get(entry["file"]) != entry["bytes"]:
            return None
    return written
