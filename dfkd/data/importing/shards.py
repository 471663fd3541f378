"""Shards are the Parquet files that a pool is made of; only this file knows their columns.

`row_id`: int64, stable and unique in the pool. A file without it gets `hash(file name) * 2**32 +
position`, so that adding, removing or reading shards in another order renumbers nothing.
`image`: fixed_size_binary for raw uint8 pixels, where the field's (or schema's) metadata `shape`
says "H,W,C", or is absent and the bytes are as many as the task's shape has; or binary for an
encoded image (PNG, JPEG, ...), also as Hugging Face's struct with a field `bytes`.
`character`: only in drawn pools, what was drawn. It is for the evaluation of a selection, never for
the selection.

Legend: N rows, H height, W width, C channels.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dfkd.data.images.decoding import ImageShape as ImageShape
from dfkd.data.importing.rejects import SetAside
from dfkd.storage import StoredFile, file_at
from dfkd.storage.storage import DAMAGED, Damaged

ROW_ID_STRIDE = 2**32
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
        try:
            row_id_N, images_NHWC = read_shard(path, image_shape)
        except OSError as error:  # what is compressed cannot be opened
            raise Damaged(f"the shard {self.file} {DAMAGED}") from error
        if _written_digest(path) == self.digest != content_digest(row_id_N, images_NHWC):
            raise Damaged(f"the shard {self.file} {DAMAGED}")
        return row_id_N, images_NHWC

    def parts(self, image_shape: ImageShape) -> Iterator[NDArray[np.uint8]]:
        """Yield the raw pixels of all rows in order, about READ_TOGETHER bytes at a time.

        Damaged, after the last of them, where they are not those that were written.
        """
        path, rows = self.path, max(1, READ_TOGETHER // int(np.prod(image_shape)))
        try:
            _check_raw(path, image_shape)
            digest = _begun_digest(read_row_ids(path), (self.rows, *image_shape))
            with pq.ParquetFile(path, pre_buffer=False) as file:
                for batch in file.iter_batches(rows, columns=["image"]):
                    part = _raw_pixels(path, pa.chunked_array([batch.column(0)]), image_shape)
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
) -> Shard:
    """Write raw pixels [N, H, W, C], whole or not at all, and return the shard.

    where: `storage.file(key)`, or a path. The digest goes into the file, so that a damaged one can
    be told.
    characters_N: what was drawn, in a drawn pool. columns: what else is known of the rows, for
    people and reports; no part of the digest.
    """
    digest = content_digest(row_id_N, images_NHWC)
    known = dict(columns or {})
    if characters_N is not None:
        known["character"] = pa.array(list(characters_N), pa.string())
    table = raw_table(row_id_N, images_NHWC, known).replace_schema_metadata({"digest": digest})
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


def raw_table(
    row_id_N: NDArray[np.int64],
    images_NHWC: NDArray[np.uint8],
    columns: Mapping[str, pa.Array] | None = None,
) -> pa.Table:
    """Return a shard's table of raw pixels [N, H, W, C]; no pixel is copied."""
    rows, height, width, channels = images_NHWC.shape
    pixels = pa.py_buffer(np.ascontiguousarray(images_NHWC))
    image_type = pa.binary(height * width * channels)
    fields = [
        pa.field("row_id", pa.int64()),
        pa.field("image", image_type, metadata={"shape": f"{height},{width},{channels}"}),
    ]
    arrays = [pa.array(row_id_N), pa.Array.from_buffers(image_type, rows, [None, pixels])]
    known = dict(columns or {})
    fields += [pa.field(name, array.type) for name, array in known.items()]
    return pa.Table.from_arrays([*arrays, *known.values()], schema=pa.schema(fields))


def read_shard(path: Path, image_shape: ImageShape) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return row ids [N] and raw pixels [N, H, W, C], the caller's own to write into.

    Raises ValueError where the images are encoded or of another shape.
    """
    _check_raw(path, image_shape)
    return read_row_ids(path), _raw_pixels(
        path, pq.read_table(path, columns=["image"])["image"], image_shape
    )


def _check_raw(path: Path, image_shape: ImageShape) -> None:
    check_columns(path, image_shape)
    if is_encoded(path):
        raise ValueError(
            f"a shard of a pool must have raw pixels, but got encoded images in {path}; use "
            "ParquetPool"
        )


def is_encoded(path: Path) -> bool:
    """Return whether the images are encoded; `check_columns` has looked at the file before."""
    return not pa.types.is_fixed_size_binary(pq.read_schema(path).field("image").type)


def has_row_ids(path: Path) -> bool:
    """Return whether the file numbers its rows itself."""
    return "row_id" in pq.read_schema(path).names


def read_row_ids(path: Path) -> NDArray[np.int64]:
    """Return the row ids [N]. Raises ValueError where some are missing."""
    if has_row_ids(path):
        column = pq.read_table(path, columns=["row_id"])["row_id"]
        if column.null_count:
            raise ValueError(
                f"every row must have a row_id, but got {column.null_count} nulls in {path}; fill "
                "them, or leave the column out to have rows numbered by file name and position"
            )
        row_id_N: NDArray[np.int64] = np.array(column.to_numpy(), dtype=np.int64)
        return row_id_N
    rows = pq.read_metadata(path).num_rows
    return first_row_id(path) + np.arange(rows, dtype=np.int64)


def first_row_id(path: Path) -> int:
    """Return the first id of a file without row ids: 31 bits of its name, 32 of position."""
    return ROW_ID_STRIDE * (
        int.from_bytes(hashlib.sha256(path.name.encode()).digest()[:4], "big") >> 1
    )


def read_characters(path: Path) -> list[str]:
    """Return what was drawn in each of the N rows, "" for a photograph.

    Only the evaluation of a selection may ask. Raises ValueError for a pool that was not drawn.
    """
    if "character" not in pq.read_schema(path).names:
        raise ValueError(
            f"only a drawn pool knows its characters, but got {path} without a column 'character'"
        )
    characters: list[str] = pq.read_table(path, columns=["character"])["character"].to_pylist()
    return characters


def check_columns(path: Path, image_shape: ImageShape) -> None:
    """Raise ValueError where the file could not be read at this shape; looks at the footer only."""
    schema = schema_of(path)
    if "image" not in schema.names:
        raise ValueError(
            f"a shard must have a column 'image', but got the columns {schema.names} in {path}"
        )
    _check_image_type(path, schema, image_shape)


def schema_of(path: Path) -> pa.Schema:
    """Return the schema of a file. ValueError where it is no Parquet, or row_id no number."""
    try:
        schema = pq.read_schema(path)
    except pa.ArrowInvalid as error:
        raise ValueError(
            f"a shard must be a Parquet file, but got {path}, which is not one ({error})"
        ) from error
    if "row_id" in schema.names and not pa.types.is_integer(schema.field("row_id").type):
        raise ValueError(
            f"row_id must be int64, but got {schema.field('row_id').type} in {path}; cast it, or "
            "leave it out to have rows numbered by file name and position"
        )
    return schema


def _check_image_type(path: Path, schema: pa.Schema, image_shape: ImageShape) -> None:
    field = schema.field("image")
    if not pa.types.is_fixed_size_binary(field.type):
        if _encoded_type(field.type):
            return
        raise ValueError(
            "image must be fixed_size_binary (raw uint8 pixels) or binary (encoded images), but "
            f"got {field.type} in {path}"
        )
    check_raw_type(path, schema, field, image_shape)


def check_raw_type(path: Path, schema: pa.Schema, field: pa.Field, shape: ImageShape) -> None:
    """Raise ValueError unless raw pixels fill this shape (H, W, C) and are said to be of no other.

    The shape stands in the field's or schema's metadata as "H,W,C", or nowhere.
    """
    expected = ",".join(map(str, shape))
    metadata = {**(schema.metadata or {}), **(field.metadata or {})}
    said = metadata.get(b"shape", b"absent").decode()
    fits = said.replace(" ", "") in (expected, "absent")
    if not fits or field.type.byte_width != np.prod(shape):
        raise ValueError(
            f"raw pixels must have the task's shape, metadata shape={expected!r} and "
            f"{np.prod(shape)} bytes each, but got shape={said!r} and "
            f"{field.type.byte_width} bytes in {path}; write them at that size, or as encoded "
            "images, which are resized"
        )


def _encoded_type(image_type: pa.DataType) -> bool:
    if pa.types.is_struct(image_type) and image_type.get_field_index("bytes") >= 0:
        image_type = image_type.field("bytes").type
    return bool(pa.types.is_binary(image_type) or pa.types.is_large_binary(image_type))


def _raw_pixels(path: Path, column: pa.ChunkedArray, image_shape: ImageShape) -> NDArray[np.uint8]:
    if column.null_count:
        raise ValueError(
            f"every row must have an image, but got {column.null_count} nulls in {path}; leave "
            "them out"
        )
    size = int(np.prod(image_shape))
    parts = [
        np.frombuffer(chunk.buffers()[1], np.uint8, len(chunk) * size, chunk.offset * size)
        for chunk in column.chunks
        if len(chunk)
    ]
    flat = np.concatenate(parts) if parts else np.empty(0, dtype=np.uint8)
    return flat.reshape(-1, *image_shape)


def read_first(path: Path, image_shape: ImageShape, rows: int) -> NDArray[np.uint8]:
    """Return the images [N, H, W, C] of the first rows of raw pixels; no others are read."""
    check_columns(path, image_shape)
    batches = pq.ParquetFile(path).iter_batches(batch_size=rows, columns=["image"])
    columns = [batch.column(0) for batch in islice(batches, 1)]
    if not columns:
        return np.empty((0, *image_shape), np.uint8)
    return _raw_pixels(path, pa.chunked_array(columns), image_shape)
