"""Importing: what lies outside, in any form and any state, becomes raw shards in the storage and a
table of rejects.

A source is divided into parts. Each is imported by itself, in any process and order, and found
again by its key; then all but the first of equal rows are taken out. N rows, H height, W width, C
channels.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from dfkd.data.images import decoding
from dfkd.data.images.decoding import PIL_MODES, ImageShape, Rejected, decode, fitted
from dfkd.data.importing.places import check_path
from dfkd.data.importing.rejects import Reject, SetAside, join_rejects, write_rejects
from dfkd.data.importing.repeats import Repeats, find_repeats
from dfkd.data.importing.shards import PoolFiles, Shard, read_shard, write_shard
from dfkd.storage import layout
from dfkd.storage.files import write_json

VERSION = 1  # raised when shards or records are written otherwise
SHARD_BYTES, MOST_ROWS, LEAST_ROWS = (
    2**26,
    10_000,
    256,
)  # of pixels in a shard: one is in memory at a time


@dataclass(frozen=True)
class Found:
    """One thing in a source. `read` gives its bytes or an opened image, and raises Rejected or
    OSError.
    """

    name: bytes
    row_id: int
    read: Callable[[], bytes | Image.Image]


class Outside(Protocol):
    """A source; it travels to the tasks that import its parts."""

    def found(self, part: int) -> Iterator[Found]:
        """In the order of the rows."""
        ...


@dataclass(frozen=True, kw_only=True)
class Import:
    """A pool on its way into `folder`. `keys`: one for each part, another where it has other
    content.
    """

    outside: Outside
    keys: tuple[str, ...]
    folder: Path
    image_shape: ImageShape
    most_pixels: int
    most_rejected: float

    def rounds(self) -> Iterator[Sequence[int | Repeats]]:
        if self._manifest() is not None:
            return
        yield [part for part in range(len(self.keys)) if self._record(part) is None]
        yield [
            repeats for repeats in self._repeats()[0] if not (self.folder / repeats.rest).is_file()
        ]

    def make(self, todo: int | Repeats) -> None:
        if isinstance(todo, Repeats):
            self._leave_out(todo)
        else:
            self._import(todo)

    def files(self) -> PoolFiles:
        """The pool, made here as far as it is missing. ValueError where too much of it cannot be
        read.
        """
        for todo in self.rounds():
            for one in todo:
                self.make(one)
        manifest = self._manifest() or self._finished()
        shards = [
            Shard(self.folder / s["file"], s["digest"], s["rows"]) for s in manifest["shards"]
        ]
        set_aside = SetAside(self._rejected, tuple(sorted(manifest["counts"].items())))
        pool = PoolFiles(tuple(shards), set_aside)
        set_aside.check(pool.rows, self.most_rejected)
        return pool

    # ---- one part

    def _import(self, part: int) -> None:
        """The shards of a part, the table of what is set aside, and last the record, which says
        that all is there.
        """
        shards: list[Shard] = []
        rejects: list[Reject] = []
        rows = _Rows(self.image_shape)
        for found in self.outside.found(part):
            try:
                rows.add(found, self.most_pixels)
            except Rejected as why:
                rejects.append((shown(found.name), why.reason, why.detail))
            if rows.full:
                shards.append(rows.write(self._shard(part, len(shards))))
        if len(rows):
            shards.append(rows.write(self._shard(part, len(shards))))
        key = self.keys[part]
        write_rejects(self.folder / layout.part_rejects(key), rejects)
        counts = Counter(reason for _, reason, _ in rejects)
        write_json(
            self.folder / layout.part_record(key),
            {"shards": [entry_of(s) for s in shards], "counts": counts},
        )

    def _shard(self, part: int, index: int) -> Path:
        return self.folder / layout.imported_shard(self.keys[part], index)

    def _record(self, part: int) -> dict[str, Any] | None:
        return intact(self.folder / layout.part_record(self.keys[part]))

    # ---- all parts

    @property
    def _key(self) -> str:
        return hashlib.sha256("".join(self.keys).encode()).hexdigest()[:20]

    @property
    def _rejected(self) -> Path:
        return self.folder / layout.pool_rejects(self._key)

    def _manifest(self) -> dict[str, Any] | None:
        return (
            intact(self.folder / layout.pool_manifest(self._key))
            if self._rejected.is_file()
            else None
        )

    def _records(self) -> list[dict[str, Any]]:
        records = [self._record(part) for part in range(len(self.keys))]
        return [record for record in records if record is not None]

    def _finished(self) -> dict[str, Any]:
        repeats, rejects = self._repeats()
        rest = {r.shard: r.rest for r in repeats}
        records = self._records()
        shards = [_settled(self.folder, s, rest) for record in records for s in record["shards"]]
        counts = sum(
            (Counter(record["counts"]) for record in records), Counter(r[1] for r in rejects)
        )
        join_rejects(
            self._rejected, (self.folder / layout.part_rejects(key) for key in self.keys), rejects
        )
        manifest = {"shards": [s for s in shards if s["rows"]], "counts": counts}
        write_json(self.folder / layout.pool_manifest(self._key), manifest)
        return manifest

    def _repeats(self) -> tuple[list[Repeats], list[Reject]]:
        names = [shard["file"] for record in self._records() for shard in record["shards"]]
        return find_repeats(self.folder, names)

    def _leave_out(self, repeats: Repeats) -> None:
        row_id_N, images_NHWC = read_shard(self.folder / repeats.shard, self.image_shape)
        keep = np.setdiff1d(np.arange(len(row_id_N)), repeats.rows)
        known = (
            pq.read_table(self.folder / repeats.shard, columns=["name", "content"])
            .take(keep)
            .combine_chunks()
        )
        columns = {name: known[name].combine_chunks() for name in known.column_names}
        write_shard(self.folder / repeats.rest, row_id_N[keep], images_NHWC[keep], columns=columns)


class _Rows:
    """Rows on their way into one shard."""

    def __init__(self, image_shape: ImageShape) -> None:
        self.image_shape = image_shape
        self.most = rows_per_shard(image_shape)
        self.clear()

    def clear(self) -> None:
        self.images: list[NDArray[np.uint8]] = []
        self.row_ids: list[int] = []
        self.contents: list[int] = []
        self.names: list[str] = []

    def __len__(self) -> int:
        return len(self.images)

    @property
    def full(self) -> bool:
        return len(self) == self.most

    def add(self, found: Found, most_pixels: int) -> None:
        try:
            content = found.read()
        except OSError as error:
            raise Rejected("unreadable", error.strerror or str(error)) from error
        if isinstance(content, bytes):
            image = decode(content, self.image_shape, most_pixels)
        else:
            image = _fitted(content, self.image_shape, most_pixels)
            content = repr((content.mode, content.size)).encode() + content.tobytes()
        self.images.append(image)
        self.row_ids.append(found.row_id)
        self.contents.append(
            int.from_bytes(hashlib.sha256(content).digest()[:8], "big", signed=True)
        )
        self.names.append(shown(found.name))

    def write(self, path: Path) -> Shard:
        columns = {
            "name": pa.array(self.names, pa.string()),
            "content": pa.array(self.contents, pa.int64()),
        }
        shard = write_shard(
            path, np.array(self.row_ids, np.int64), np.stack(self.images), columns=columns
        )
        self.clear()
        return shard


def check_limits(path: str, most_pixels: int, most_rejected: float) -> None:
    """ValueError in one line for fields that cannot be meant."""
    if not path:
        raise ValueError(f"path must name a folder, here or below a URI, but got {path=}")
    check_path(path)
    if most_pixels < 1 or not 0 <= most_rejected <= 1:
        raise ValueError(
            f"most_pixels must be 1 or more and most_rejected a share, 0 to 1, but got "
            f"{most_pixels=}, {most_rejected=}"
        )


def check_pool(image_shape: ImageShape, draw: int = 0) -> None:
    """ValueError in one line where what lies outside cannot be a pool of this shape and draw."""
    if draw != 0:
        raise ValueError(
            f"a folder holds one draw, 0, but got {draw=}; make each draw a folder and a pool of "
            "its own"
        )
    if image_shape[2] not in PIL_MODES:
        raise ValueError(
            f"images must have one of {sorted(PIL_MODES)} channels (H, W, C), but got "
            f"{image_shape=}"
        )


def _fitted(image: Image.Image, image_shape: ImageShape, most_pixels: int) -> NDArray[np.uint8]:
    try:
        return fitted(image, image_shape, most_pixels)
    except ValueError as error:  # a mode that cannot be converted
        raise Rejected("truncated or damaged", str(error)) from error


def rows_per_shard(image_shape: ImageShape) -> int:
    return int(np.clip(SHARD_BYTES // np.prod(image_shape), LEAST_ROWS, MOST_ROWS))


def row_id_of(name: bytes) -> int:
    """63 bits of a hash: adding and removing others renumbers nothing."""
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "big") >> 1


def part_key(content: str, image_shape: ImageShape, most_pixels: int) -> str:
    """Of a part with this content, as it is imported: at another size it is other shards."""
    told_apart = (VERSION, decoding.VERSION, tuple(image_shape), most_pixels, content)
    return hashlib.sha256(repr(told_apart).encode()).hexdigest()[:20]


def shown(name: bytes) -> str:
    """A name as text: what is not UTF-8 is escaped."""
    return name.decode("utf-8", "backslashreplace")


def entry_of(shard: Shard) -> dict[str, Any]:
    path = shard.path
    return {
        "file": path.name,
        "digest": shard.digest,
        "rows": shard.rows,
        "bytes": path.stat().st_size,
    }


def _settled(folder: Path, entry: dict[str, Any], rest: dict[str, str]) -> dict[str, Any]:
    """The entry of the shard, or of the file that has what is left of it."""
    if entry["file"] not in rest:
        return entry
    path = folder / rest[entry["file"]]
    footer = pq.read_metadata(path)
    return entry_of(Shard(path, footer.metadata[b"digest"].decode(), footer.num_rows))


def intact(path: Path) -> dict[str, Any] | None:
    """What was written there, unless a shard that it names is missing or has another size."""
    if not path.is_file():
        return None
    written: dict[str, Any] = json.loads(path.read_text())
    for entry in written["shards"]:
        shard = path.parent / entry["file"]
        if not shard.is_file() or shard.stat().st_size != entry["bytes"]:
            return None
    return written
