"""Parquet files as pools: raw pixels are read where they lie, encoded images are decoded once, into
the storage.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dfkd.data.images import decoding
from dfkd.data.images.decoding import MOST_PIXELS, ImageShape, Rejected, decode
from dfkd.data.importing.importing import check_limits, check_pool, entry_of, intact, rows_per_shard
from dfkd.data.importing.places import Local, Place
from dfkd.data.importing.rejects import Reject, SetAside, join_rejects, write_rejects
from dfkd.data.importing.shards import (
    PoolFiles,
    Shard,
    check_columns,
    has_row_ids,
    is_encoded,
    raw_table,
    read_first,
    read_row_ids,
)
from dfkd.data.pools.image_folder import listable
from dfkd.data.pools.pool import PoolBase
from dfkd.identity import later, limit, location
from dfkd.storage import Storage, layout
from dfkd.storage.files import replace_file, write_json


@dataclass(frozen=True, kw_only=True)
class ParquetPool(PoolBase):
    """Your own folder of Parquet shards, never written to.

    Columns: `image`, raw uint8 pixels of the task's shape or encoded images (decoding.py says how
    they are read); if you like `row_id`, int64 and unique in the pool; without it rows are numbered
    by file name and position. Encoded images that cannot be read are set aside as in `ImageFolder`;
    duplicates are kept, rows are your choice.
    Digest: of each file's bytes, computed once and remembered in the storage by name, size and time
    of change.
    Range: a folder that every node can read, or a URI without credentials, from which the files are
    copied into the storage; the files directly in it, each of a size that fits into memory when
    decoded. It has one draw, 0.
    Interplay: a folder's name says nothing about its images; the digest is the identity, not the
    path.
    """

    version: ClassVar[int] = 1
    path: str = location()
    most_pixels: int = later(MOST_PIXELS)
    most_rejected: float = limit(0.5)

    @classmethod
    def example(cls) -> Self:
        return cls(path="pool")

    def __post_init__(self) -> None:
        check_limits(self.path, self.most_pixels, self.most_rejected)

    def check(self, image_shape: ImageShape) -> None:
        """ValueError in one line where the folder is no pool of this shape, as far as the files'
        footers tell.
        """
        check_pool(image_shape)
        place = listable(self.path)
        for name in _names(place, self.path):
            if isinstance(place, Local):
                check_columns(Path(place.root, name), image_shape)

    def making(self, image_shape: ImageShape, storage: Storage, draw: int = 0) -> ParquetFiles:
        check_pool(image_shape, draw)
        place = listable(self.path)
        names = _names(place, self.path)
        told_apart = place.root if isinstance(place, Local) else self.path
        folder = storage / layout.pool(f"parquet-{_sha256(told_apart)[:16]}")
        if isinstance(place, Local):
            paths = tuple(Path(place.root, name) for name in names)
            for path in paths:
                check_columns(path, image_shape)
        else:  # a copy keeps its name, by which rows are numbered
            paths = tuple(
                folder / _sha256(repr(state))[:12] / name for name, state in names.items()
            )
        return ParquetFiles(self, place, paths, folder, image_shape)

    def files(self, image_shape: ImageShape, storage: Storage, draw: int = 0) -> PoolFiles:
        return self.making(image_shape, storage, draw).files()


@dataclass(frozen=True)
class Copying:
    """A file of an object store, on its way into the storage."""

    path: Path


@dataclass(frozen=True)
class Decoding:
    """A file of encoded images; its digest tells its content and the shape that is wanted."""

    path: Path
    digest: str

    def key(self, most_pixels: int) -> str:
        return _sha256(f"{self.digest} {most_pixels} {decoding.VERSION}")[:20]


@dataclass(frozen=True)
class ParquetFiles:
    """A Parquet pool on its way into the storage: copied where it is far away, decoded where it is
    encoded.
    """

    pool: ParquetPool
    place: Place
    paths: tuple[Path, ...]
    folder: Path
    image_shape: ImageShape

    def rounds(self) -> Iterator[Sequence[Copying | Decoding]]:
        yield [Copying(path) for path in self.paths if not path.is_file()]
        found = [one for one in self._found() if isinstance(one, Decoding)]
        yield [one for one in found if intact(self._file(one, layout.part_record)) is None]

    def make(self, todo: Copying | Decoding) -> None:
        if isinstance(todo, Decoding):
            self._decode(todo)
        else:
            replace_file(todo.path, lambda half: self._copy(todo.path.name.encode(), half))

    def files(self) -> PoolFiles:
        """ValueError where rows are numbered twice, or too much cannot be read."""
        for todo in self.rounds():
            for one in todo:
                self.make(one)
        found = self._found()
        records = [
            intact(self._file(one, layout.part_record)) if isinstance(one, Decoding) else None
            for one in found
        ]
        shards: list[Shard] = [one for one in found if isinstance(one, Shard)]
        if any(records):
            shards = [
                one if isinstance(one, Shard) else self._shard(record)
                for one, record in zip(found, records, strict=True)
            ]
        pool = PoolFiles(
            tuple(shard for shard in shards if shard.rows), self._set_aside(found, records)
        )
        if pool.set_aside is not None:
            pool.set_aside.check(pool.rows, self.pool.most_rejected)
        return pool

    def readable(self, part: int) -> Iterator[NDArray[np.uint8]]:
        """Images of one file, some of them where they are raw: for a first look at them."""
        path = self.paths[part]
        if not path.is_file():
            self.make(Copying(path))
        check_columns(path, self.image_shape)
        if not is_encoded(path):
            yield from read_first(path, self.image_shape, rows_per_shard(self.image_shape))
            return
        for encoded in _encoded(path):
            with contextlib.suppress(Rejected):
                yield decode(encoded or b"", self.image_shape, self.pool.most_pixels)

    def _copy(self, name: bytes, half: Path) -> None:
        with self.place.open(name) as source, half.open("wb") as target:
            shutil.copyfileobj(source, target)

    def _found(self) -> list[Shard | Decoding]:
        """Each file as the shard that it is, or as one that is to be decoded."""
        if not isinstance(self.place, Local):  # looked at before otherwise
            for path in self.paths:
                check_columns(path, self.image_shape)
        entries = _remembered(layout.pool_memory(self.folder), list(self.paths))
        digests = {
            p: _digest(p, entries[p.name]["bytes_digest"], self.image_shape) for p in self.paths
        }
        return [
            Decoding(p, digests[p])
            if is_encoded(p)
            else Shard(p, digests[p], entries[p.name]["rows"])
            for p in self.paths
        ]

    def _file(self, todo: Decoding, named: Callable[[str], str]) -> Path:
        return self.folder / named(todo.key(self.pool.most_pixels))

    def _shard(self, record: dict[str, Any] | None) -> Shard:
        assert record is not None
        entry = record["shards"][0]
        return Shard(self.folder / entry["file"], entry["digest"], entry["rows"])

    def _decode(self, todo: Decoding) -> None:
        path, rejects, lost = self._file(todo, layout.part_shard), list[Reject](), list[int]()
        replace_file(path, lambda half: self._write(todo.path, half, rejects, lost))
        # the same digest as ever where all could be read; what was left out makes another pool
        digest = todo.digest if not lost else _sha256(f"{todo.digest} without {lost}")
        write_rejects(self._file(todo, layout.part_rejects), rejects)
        shard = Shard(path, digest, pq.read_metadata(path).num_rows)
        write_json(
            self._file(todo, layout.part_record),
            {"shards": [entry_of(shard)], "counts": Counter(reject[1] for reject in rejects)},
        )

    def _write(self, source: Path, half: Path, rejects: list[Reject], lost: list[int]) -> None:
        """Raw pixels, some rows at a time."""
        row_id_N = read_row_ids(source)
        images: list[NDArray[np.uint8]] = []
        kept: list[int] = []
        with pq.ParquetWriter(half, _empty(self.image_shape).schema, compression="zstd") as writer:

            def flush() -> None:
                if images:
                    writer.write_table(raw_table(row_id_N[kept], np.stack(images)))
                    images.clear()
                    kept.clear()

            for row, encoded in enumerate(_encoded(source)):
                try:
                    images.append(decode(encoded or b"", self.image_shape, self.pool.most_pixels))
                    kept.append(row)
                except Rejected as why:
                    rejects.append((f"{source.name} row {row}", why.reason, why.detail))
                    lost.append(row)
                if len(images) == rows_per_shard(self.image_shape):
                    flush()
            flush()

    def _set_aside(
        self, found: list[Shard | Decoding], records: list[dict[str, Any] | None]
    ) -> SetAside | None:
        decoded = [one for one in found if isinstance(one, Decoding)]
        if not decoded:
            return None
        key = _sha256(repr([self._file(one, layout.part_record).name for one in decoded]))[:20]
        path = self.folder / layout.pool_rejects(key)
        if not path.is_file():
            join_rejects(path, (self._file(one, layout.part_rejects) for one in decoded))
        counts = sum(
            (Counter[str](record["counts"]) for record in records if record), Counter[str]()
        )
        return SetAside(path, tuple(sorted(counts.items())))


def _empty(image_shape: ImageShape) -> pa.Table:
    return raw_table(np.empty(0, np.int64), np.empty((0, *image_shape), np.uint8))


def _encoded(path: Path) -> Iterator[bytes | None]:
    for batch in pq.ParquetFile(path).iter_batches(batch_size=64, columns=["image"]):
        column = batch.column(0)
        values = pc.struct_field(column, "bytes") if pa.types.is_struct(column.type) else column
        for value in values:
            yield value.as_py()


def _names(place: Place, path: str) -> dict[str, tuple[int, int]]:
    """Parquet files directly in the folder, sorted, with size and time of change."""
    found = sorted(place.children(b"", set()))
    names = {
        entry.name.decode("utf-8", "surrogateescape"): (entry.size, entry.stamp)
        for entry in found
        if entry.name.endswith(b".parquet") and not entry.reason
    }
    if names:
        return names
    shown = found[0].name.decode("utf-8", "backslashreplace").rstrip("/") if found else ""
    what = f"{len(found)} other entries, such as {shown!r}" if found else "nothing"
    raise ValueError(
        f"a pool must have *.parquet files directly in its folder, but got {what} in {path}; "
        "write the images there as Parquet, or name the folder that has the shards"
    )


def _remembered(memory: Path, paths: list[Path]) -> dict[str, dict[str, Any]]:
    """What is known of each file by its name; a file that is new or has changed is checked and
    hashed.
    """
    known: dict[str, dict[str, Any]] = json.loads(memory.read_text()) if memory.is_file() else {}
    stamps = {path: _stamp(path) for path in paths}
    changed = [path for path in paths if known.get(path.name, {}).get("stamp") != stamps[path]]
    if not changed and len(known) == len(paths):
        return known
    _check_rows(paths)
    fresh = {path.name: _described(path, stamps[path]) for path in changed}
    entries = {path.name: fresh.get(path.name) or known[path.name] for path in paths}
    write_json(memory, entries)
    return entries


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _described(path: Path, stamp: list[int]) -> dict[str, Any]:
    with path.open("rb") as file:
        bytes_digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"stamp": stamp, "rows": pq.read_metadata(path).num_rows, "bytes_digest": bytes_digest}


def _check_rows(paths: list[Path]) -> None:
    """Of all files together."""
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
        shard = paths[
            int(np.searchsorted(np.cumsum([len(part) for part in parts]), repeated, side="right"))
        ]
        raise ValueError(
            f"row_id must be unique in the pool, but got {len(row_id_N) - len(first)} repeated, "
            "such as "
            f"{row_id_N[repeated]} in {shard}; number the rows anew, or leave the column out"
        )


def _digest(path: Path, bytes_digest: str, image_shape: ImageShape) -> str:
    """The same bytes are other images at another size, and other rows where ids come from the
    file's name.
    """
    numbered_by = "row_id" if has_row_ids(path) else path.name
    return _sha256(f"{bytes_digest} {image_shape} {numbered_by}")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
