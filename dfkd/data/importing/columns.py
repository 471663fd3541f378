"""The columns of a shard: what a file must have, and how its rows are read and written.

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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dfkd.data.images.decoding import ImageShape

ROW_ID_STRIDE = 2**32


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
    check_raw(path, image_shape)
    with reading(path):
        column = pq.read_table(path, columns=["image"])["image"]
    return read_row_ids(path), raw_pixels(path, column, image_shape)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Name the file that cannot be unpacked, where pyarrow says only how: a ValueError."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the system's, not the file's
            raise
        raise ValueError(
            f"{path} is damaged ({_line(error)}): fetch or write it again, or take it out of the "
            "folder"
        ) from error


def check_raw(path: Path, image_shape: ImageShape) -> None:
    """Raise ValueError where the images are encoded or of another shape."""
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


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def read_row_ids(path: Path) -> NDArray[np.int64]:
    """Return the row ids [N]. Raises ValueError where some are missing."""
    if has_row_ids(path):
        with reading(path):
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
    except (OSError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(
            f"a shard must be a Parquet file, but got {path}, which is not one ({_line(error)})"
        ) from error
    if len(set(schema.names)) < len(schema.names):
        raise ValueError(
            f"the columns of a shard must have different names, but got {schema.names} in {path}: "
            "write it again without the second one"
        )
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


def raw_pixels(path: Path, column: pa.ChunkedArray, image_shape: ImageShape) -> NDArray[np.uint8]:
    """Return the pixels [N, H, W, C] in a column of raw images."""
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
    with reading(path):
        batches = pq.ParquetFile(path).iter_batches(batch_size=rows, columns=["image"])
        columns = [batch.column(0) for batch in islice(batches, 1)]
    if not columns:
        return np.empty((0, *image_shape), np.uint8)
    return raw_pixels(path, pa.chunked_array(columns), image_shape)
