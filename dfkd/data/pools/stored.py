"""Which pools lie in a folder of a storage, told from its files alone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dfkd.data.importing.records import shard_of
from dfkd.data.importing.rejects import SCHEMA as REJECTS
from dfkd.data.importing.shards import PoolFiles, Shard, written_shard
from dfkd.data.pools.image_folder import LISTING
from dfkd.storage.files import is_half


@dataclass(frozen=True)
class StoredPools:
    """digests: of all pools whose shards lie in a folder. shards: their digests."""

    digests: frozenset[str]
    shards: frozenset[str]


def stored_pools(folder: Path) -> StoredPools | None:
    """Return what lies in a folder, or None unless every file in it was written by us.

    Ours are records, the shards that they name, shards with our digest in the footer, listings of
    files and tables of rejects. Copies of a user's own files are not, nor is a folder without any.
    """
    if not folder.is_dir() or folder.is_symlink():
        return None
    paths = sorted(path for path in folder.iterdir() if not is_half(path.name))
    records = {path: _record(path) for path in paths if path.suffix == ".json"}
    pools = [_pool(record, folder) for record in records.values() if record is not None]
    named = {shard.path for pool in pools for shard in pool.shards}
    written = {path: _written(path) for path in paths if path.suffix == ".parquet"}
    ours = {*named, *(path for path in paths if records.get(path) or written.get(path))}
    others = [path for path in paths if path not in ours and not _is_table(path)]
    if others or not ours:
        return None
    shards = tuple(shard for shard in written.values() if shard is not None)
    return _stored([*pools, PoolFiles(shards)])


def _stored(pools: Iterable[PoolFiles]) -> StoredPools:
    digests = [pool.digest for pool in pools]
    shards = [shard.digest for pool in pools for shard in pool.shards]
    return StoredPools(frozenset(digests), frozenset(shards))


def _record(path: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return record if isinstance(record["shards"], list) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _pool(record: dict[str, Any], folder: Path) -> PoolFiles:
    return PoolFiles(tuple(shard_of(entry, folder) for entry in record["shards"]))


def _written(path: Path) -> Shard | None:
    try:
        return written_shard(path)
    except (pa.ArrowInvalid, OSError, KeyError, TypeError):  # no Parquet, or a user's
        return None


def _is_table(path: Path) -> bool:
    """Return whether a file is a listing of files or a table of rejects."""
    try:
        return path.suffix == ".parquet" and pq.read_schema(path) in (REJECTS, LISTING)
    except (pa.ArrowInvalid, OSError):
        return False
