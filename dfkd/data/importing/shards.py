"""Shards are the Parquet files that a pool is made of; `columns.py` knows what is in one.

Legend: N rows, H height, W width, C channels.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dfkd.data.images.decoding import ImageShape as ImageShape
from dfkd.data.importing.columns import (
    check_columns,
    check_raw,
    raw_pixels,
    raw_table,
    read_row_ids,
    read_shard,
)
from dfkd.data.importing.encoded import (
    Encoded,
    OtherPixels,
    encoded_images,
    encoded_table,
    keeps_encoded,
)
from dfkd.data.importing.rejects import SetAside
from dfkd.storage import StoredFile, file_at
from dfkd.storage.storage import DAMAGED, Damaged

READ_TOGETHER = 16 * 2**20  # bytes of pixels
ROW_GROUP = 10_000  # rows; a reader that wants a part of a large shard need not load the whole


@dataclass(frozen=True)
class Shard:
    """One file of a pool and how many rows it has."""

    file: StoredFile
    digest: str  # of pixels, row ids and their shape; not of the path or the compression
    rows: int

    @property
    def path(self) -> Path:
        """Where the file can be read on this machine."""
        return self.file.path

    def read(self, image_shape: ImageShape) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Return row ids [N] and raw pixels [N, H, W, C], as `read_shard` does.

        Raises Damaged, a ValueError in one line, where they are not those that were written.
        """
        path = self.path
        check_columns(path, image_shape)
        if keeps_encoded(path):
            every = np.arange(self.rows)
            parts = [np.empty((0, *image_shape), np.uint8), *self.images(every, image_shape)]
            row_id_N, images_NHWC = read_row_ids(path), np.concatenate(parts)
        else:
            try:
                row_id_N, images_NHWC = read_shard(path, image_shape)
            except OSError as error:  # what is compressed cannot be opened
                raise Damaged(f"the shard {self.file} {DAMAGED}") from error
        if _written_digest(path) == self.digest != content_digest(row_id_N, images_NHWC):
            raise Damaged(f"the shard {self.file} {DAMAGED}")
        return row_id_N, images_NHWC

    def images(
        self, rows_R: NDArray[np.int64], image_shape: ImageShape
    ) -> Iterator[NDArray[np.uint8]]:
        """Yield the images of these rows, ascending, about READ_TOGETHER bytes at a time.

        Damaged where they are not those that were written; of raw pixels after the last of them.
        """
        check_columns(self.path, image_shape)
        if not keeps_encoded(self.path):
            at = 0
            for part in self._parts(image_shape):
                here = slice(*np.searchsorted(rows_R, (at, at + len(part))))
                yield part[rows_R[here] - at]
                at += len(part)
            return
        try:
            yield from encoded_images(self.path, rows_R, image_shape, _together(image_shape))
        except (OSError, OtherPixels) as error:
            raise Damaged(
                f"the shard {self.file} {DAMAGED}, unless this machine's Pillow decodes "
                f"otherwise than the one that imported it ({error})"
            ) from error

    def _parts(self, image_shape: ImageShape) -> Iterator[NDArray[np.uint8]]:
        """Yield the raw pixels of all rows in order; their digest is looked at after the last."""
        path, rows = self.path, _together(image_shape)
        try:
            check_raw(path, image_shape)
            digest = _begun_digest(read_row_ids(path), (self.rows, *image_shape))
            with pq.ParquetFile(path, pre_buffer=False) as file:
                for batch in file.iter_batches(rows, columns=["image"]):
                    part = raw_pixels(path, pa.chunked_array([batch.column(0)]), image_shape)
                    digest.update(part.data)
                    yield part
        except OSError as error:
            raise Damaged(f"the shard {self.file} {DAMAGED}") from error
        if _written_digest(path) == self.digest != digest.hexdigest():
            raise Damaged(f"the shard {self.file} {DAMAGED}")


@dataclass(frozen=True)
class PoolFiles:
    """The shards of a pool in order, and what was set aside where it was imported."""

    shards: tuple[Shard, ...]
    set_aside: SetAside | None = None  # of a pool that was imported
    seconds: float | None = None  # of a device, of a pool that is synthesised from a teacher

    @property
    def digest(self) -> str:
        """The pool's identity: a SHA-256 of its shards' digests."""
        return hashlib.sha256("".join(shard.digest for shard in self.shards).encode()).hexdigest()

    @property
    def rows(self) -> int:
        """How many rows all shards have together."""
        return sum(shard.rows for shard in self.shards)


def _together(image_shape: ImageShape) -> int:
    return max(1, READ_TOGETHER // int(np.prod(image_shape)))


def content_digest(row_id_N: NDArray[np.int64], images_NHWC: NDArray[np.uint8]) -> str:
    """Return the SHA-256 of row ids, pixels and their shape."""
    digest = _begun_digest(row_id_N, images_NHWC.shape)
    digest.update(images_NHWC.tobytes())
    return digest.hexdigest()


def _begun_digest(row_id_N: NDArray[np.int64], shape: tuple[int, ...]) -> "hashlib._Hash":
    """Return the digest that only waits for the pixels."""
    digest = hashlib.sha256(repr(shape).encode())
    digest.update(row_id_N.astype("<i8").tobytes())
    return digest


def write_shard(
    where: StoredFile | Path,
    row_id_N: NDArray[np.int64],
    images_NHWC: NDArray[np.uint8],
    characters_N: Sequence[str] | None = None,
    columns: Mapping[str, pa.Array] | None = None,
    encoded: Encoded | None = None,
) -> Shard:
    """Write raw pixels [N, H, W, C], whole or not at all, and return the shard.

    where: `storage.file(key)`, or a path. The digest goes into the file, so that a damaged one can
    be told.
    characters_N: what was drawn, in a drawn pool. columns: what else is known of the rows, for
    people and reports; no part of the digest. encoded: kept in the place of the pixels; the digest
    is the same.
    """
    digest = content_digest(row_id_N, images_NHWC)
    known = dict(columns or {})
    if characters_N is not None:
        known["character"] = pa.array(list(characters_N), pa.string())
    if encoded is None:
        table = raw_table(row_id_N, images_NHWC, known)
    else:
        table = encoded_table(row_id_N, images_NHWC, encoded, known)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), "digest": digest})
    file = file_at(where) if isinstance(where, Path) else where
    file.replace(
        lambda half: pq.write_table(table, half, compression="zstd", row_group_size=ROW_GROUP)
    )
    return Shard(file, digest, len(row_id_N))


def written_shard(where: StoredFile | Path) -> Shard:
    """Return the shard that `write_shard` wrote there; looks at the footer only."""
    file = file_at(where) if isinstance(where, Path) else where
    with file.open() as opened:
        footer = pq.read_metadata(opened)
    return Shard(file, footer.metadata[b"digest"].decode(), footer.num_rows)


def rows_of(file: StoredFile) -> int:
    """Return how many rows a file has; looks at the footer only."""
    with file.open() as opened:
        rows: int = pq.read_metadata(opened).num_rows
    return rows


def _written_digest(path: Path) -> str:
    """Return the digest in a file's footer, "" where there is none: a user's own."""
    metadata: dict[bytes, bytes] = pq.read_schema(path).metadata or {}
    return metadata.get(b"digest", b"").decode()
