"""Images in a user's Parquet file become raw pixels in a shard.

N rows, H height, W width, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dfkd.data.images.decoding import ImageShape, Rejected, decode
from dfkd.data.importing.columns import raw_table, read_row_ids, reading
from dfkd.data.importing.rejects import Reject
from dfkd.data.importing.sources import rows_per_shard
from dfkd.data.pools.parquet_columns import ImageColumn, is_list
from dfkd.storage import StoredFile


def decode_file(
    source: Path, target: StoredFile, column: ImageColumn, image_shape: ImageShape, most_pixels: int
) -> tuple[list[Reject], list[int]]:
    """Write the images that can be read, whole or not at all; return rejects and rows left out."""
    rejects: list[Reject] = []
    lost: list[int] = []

    def write(half: Path) -> None:
        row_id_N = read_row_ids(source)
        images: list[NDArray[np.uint8]] = []
        kept: list[int] = []
        with pq.ParquetWriter(half, _empty(image_shape).schema, compression="zstd") as writer:

            def flush() -> None:
                if images:
                    writer.write_table(raw_table(row_id_N[kept], np.stack(images)))
                    images.clear()
                    kept.clear()

            for row, image in enumerate(_read(source, column, image_shape, most_pixels)):
                if isinstance(image, Rejected):
                    rejects.append((f"{source.name} row {row}", image.reason, image.detail))
                    lost.append(row)
                else:
                    images.append(image)
                    kept.append(row)
                if len(images) == rows_per_shard(image_shape):
                    flush()
            flush()

    target.replace(write)
    return rejects, lost


def decoded_images(
    path: Path, column: ImageColumn, image_shape: ImageShape, most_pixels: int
) -> Iterator[NDArray[np.uint8]]:
    """Yield the images (H, W, C) of a file; those that cannot be read are left out."""
    for image in _read(path, column, image_shape, most_pixels):
        if not isinstance(image, Rejected):
            yield image


def _read(
    path: Path, column: ImageColumn, image_shape: ImageShape, most_pixels: int
) -> Iterator[NDArray[np.uint8] | Rejected]:
    """Yield each row's image, or why there is none; a few rows are in memory."""
    for values in _batches(path, column.name):
        if isinstance(values, pa.ExtensionArray):
            values = values.storage
        for value in values:
            try:
                if column.is_encoded:
                    yield decode(_encoded(value.as_py()), image_shape, most_pixels)
                else:
                    yield _raw(value, image_shape)
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


def _empty(image_shape: ImageShape) -> pa.Table:
    return raw_table(np.empty(0, np.int64), np.empty((0, *image_shape), np.uint8))
