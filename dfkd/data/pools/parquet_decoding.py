"""Images in a user's Parquet file become raw pixels in a shard.

N rows, H height, W width, C channels.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dfkd.data.images.decoding import ImageShape, Rejected, decode
from dfkd.data.importing.columns import raw_table, read_row_ids, reading
from dfkd.data.importing.encoded import Encoded, encoded_table
from dfkd.data.importing.rejects import Reject
from dfkd.data.importing.sources import rows_per_shard
from dfkd.data.pools.parquet_columns import ImageColumn, is_list
from dfkd.storage import StoredFile

Image: TypeAlias = tuple[NDArray[np.uint8], bytes]  # pixels (H, W, C), and the bytes they were in


def decode_file(
    source: Path,
    target: StoredFile,
    column: ImageColumn,
    image_shape: ImageShape,
    most_pixels: int,
    keep_encoded: bool = False,
) -> tuple[list[Reject], list[int]]:
    """Write the images that can be read, whole or not at all; return rejects and rows left out.

    keep_encoded: write encoded images as they are.
    """
    rejects: list[Reject] = []
    lost: list[int] = []
    stay = keep_encoded and column.is_encoded
    table = partial(_table, image_shape, most_pixels if stay else None)

    def readable() -> Iterator[tuple[int, Image]]:
        for row, found in enumerate(_read(source, column, image_shape, most_pixels)):
            if isinstance(found, Rejected):
                rejects.append((f"{source.name} row {row}", found.reason, found.detail))
                lost.append(row)
            else:
                yield row, found

    def write(half: Path) -> None:
        row_id_N, rows = read_row_ids(source), readable()
        with pq.ParquetWriter(half, table(row_id_N[:0], []).schema, compression="zstd") as writer:
            while some := list(islice(rows, rows_per_shard(image_shape))):
                kept = [row for row, _ in some]
                writer.write_table(table(row_id_N[kept], [image for _, image in some]))

    target.replace(write)
    return rejects, lost


def decoded_images(
    path: Path, column: ImageColumn, image_shape: ImageShape, most_pixels: int
) -> Iterator[NDArray[np.uint8]]:
    """Yield the images (H, W, C) of a file; those that cannot be read are left out."""
    for found in _read(path, column, image_shape, most_pixels):
        if not isinstance(found, Rejected):
            yield found[0]


def _read(
    path: Path, column: ImageColumn, image_shape: ImageShape, most_pixels: int
) -> Iterator[Image | Rejected]:
    """Yield each row's image, or why there is none; a few rows are in memory."""
    for values in _batches(path, column.name):
        if isinstance(values, pa.ExtensionArray):
            values = values.storage
        for value in values:
            try:
                if column.is_encoded:
                    encoded = _encoded(value.as_py())
                    yield decode(encoded, image_shape, most_pixels), encoded
                else:
                    yield _raw(value, image_shape), b""
            except Rejected as why:
                yield why


def _batches(path: Path, column: str) -> Iterator[pa.Array]:
    batches = pq.ParquetFile(path).iter_batches(batch_size=64, columns=[column])
    while True:
        with reading(path):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch.column(0)


def _encoded(value: Any) -> bytes:
    """Return the bytes of a value, or of a struct's `bytes`; none where it is null."""
    if not isinstance(value, dict):
        return value or b""
    if not value["bytes"] and value.get("path"):
        raise Rejected(
            "only a path", f"{value['path']}, and paths are not followed: write the bytes"
        )
    return value["bytes"] or b""


def _raw(value: pa.Scalar, image_shape: ImageShape) -> NDArray[np.uint8]:
    """Return raw pixels (H, W, C). Raises Rejected where they are of another shape or kind."""
    if not value.is_valid:
        raise Rejected("empty", "null")
    if not is_list(value.type):
        return np.frombuffer(value.as_py(), np.uint8).reshape(image_shape)
    shape, pixels = [len(value.values)], value.values
    while is_list(pixels.type):
        pixels = pixels.flatten()
        shape.append(len(pixels))
    # how many lists there are down to each level, in all; a flat list has but the last
    expected = np.cumprod(image_shape)[: len(shape) - 1].tolist()
    if shape != [*expected, int(np.prod(image_shape))]:
        raise Rejected("not the task's shape", f"{shape[-1]} values for {tuple(image_shape)}")
    if pixels.null_count:
        raise Rejected("truncated or damaged", f"{pixels.null_count} values are null")
    flat_N = pixels.to_numpy()
    if flat_N.min() < 0 or flat_N.max() > 255:
        raise Rejected("not 8 bits per channel", f"values from {flat_N.min()} to {flat_N.max()}")
    image_HWC: NDArray[np.uint8] = flat_N.astype(np.uint8).reshape(image_shape)
    return image_HWC


def _table(
    image_shape: ImageShape,
    most_pixels: int | None,
    row_id_N: NDArray[np.int64],
    images: Sequence[Image],
) -> pa.Table:
    """Return a shard's table of these images. most_pixels: of those that stay encoded."""
    images_NHWC = np.array([image for image, _ in images], np.uint8).reshape(-1, *image_shape)
    if most_pixels is None:
        return raw_table(row_id_N, images_NHWC)
    encoded = Encoded([encoded for _, encoded in images], most_pixels)
    return encoded_table(row_id_N, images_NHWC, encoded)
