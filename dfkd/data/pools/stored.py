"""Which pools lie in a folder of a storage, told from its files alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dfkd.data.importing.records import shard_of
from dfkd.data.importing.rejects import SCHEMA as REJECTS
from dfkd.data.importing.shards import PoolFiles, Shard, written_shard
from dfkd.data.pools.image_folder import LISTING
from dfkd.storage import Storage, StoredFile, layout


@dataclass(frozen=True)
class StoredPools:
    """A folder of pools. digests: of all whose shards lie there. shards: the shards' digests."""

    digests: frozenset[str]
    shards: frozenset[str]


def stored_pools(folder: Storage) -> StoredPools | None:
    """Return what lies in a folder, or None unless every file in it was written by us.

    Ours are records, the shards that they name, shards with our digest in the footer, listings of
    files and tables of rejects. Copies of a user's own files are not, nor is a folder without any.
    """
    files = [folder.file(name) for name in folder.list(layout.ROOT)]
    records = {file: _record(file) for file in files if file.key.suffix == ".json"}
    pools = [_pool(record, folder) for record in records.values() if record is not None]
    named = {shard.file for pool in pools for shard in pool.shards}
    written = {file: _written(file) for file in files if file.key.suffix == ".parquet"}
    ours = {*named, *(file for file in files if records.get(file) or written.get(file))}
    others = [file for file in files if file not in ours and not _is_table(file)]
    if others or not ours:
        return None
    shards = tuple(shard for shard in written.values() if shard is not None)
    return _stored([*pools, PoolFiles(shards)])


def _stored(pools: Iterable[PoolFiles]) -> StoredPools:
    digests = [pool.digest for pool in pools]
    shards = [shard.digest for pool in pools for shard in pool.shards]
    return StoredPools(frozenset(digests), frozenset(shards))


def _record(file: StoredFile) -> dict[str, Any] | None:
    try:
        record = file.storage.read_json(file.key)
        return record if isinstance(record["shards"], list) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _pool(record: dict[str, Any], folder: Storage) -> PoolFiles:
    return PoolFiles(tuple(shard_of(entry, folder) for entry in record["shards"]))


def _written(file: StoredFile) -> Shard | None:
    try:
        return written_shard(file)
    except (pa.ArrowInvalid, OSError, KeyError, TypeError):  # no Parquet, or a user's
        return None


def _is_table(file: StoredFile) -> bool:
    """Return whether a file is a listing of files or a table of rejects."""
    if file.key.suffix != ".parquet":
        return False
    try:
        with file.open() as opened:
            return pq.read_schema(opened) in (REJECTS, LISTING)
    except (pa.ArrowInvalid, OSError):
        return False
