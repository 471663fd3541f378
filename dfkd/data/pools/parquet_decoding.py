"""Encoded images in a Parquet file become raw pixels in another one.

N rows, H height, W width, C channels.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dfkd.data.images.decoding import ImageShape, Rejected, decode
from dfkd.data.importing.rejects import Reject
from dfkd.data.importing.shards import raw_table, read_row_ids
from dfkd.data.importing.sources import rows_per_shard
from dfkd.storage.files import replace_file


def decode_file(
    source: Path, target: Path, image_shape: ImageShape, most_pixels: int
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

            for row, encoded in enumerate(encoded_images(source)):
                try:
                    images.append(decode(encoded or b"", image_shape, most_pixels))
                    kept.append(row)
                except Rejected as why:
                    rejects.append((f"{source.name} row {row}", why.reason, why.detail))
                    lost.append(row)
                if len(images) == rows_per_shard(image_shape):
                    flush()
            flush()

    replace_file(target, write)
    return rejects, lost


def decoded_images(
    path: Path, image_shape: ImageShape, most_pixels: int
) -> Iterator[NDArray[np.uint8]]:
    """Yield the images (H, W, C) of a file; those that cannot be read are left out."""
    for encoded in encoded_images(path):
        with contextlib.suppress(Rejected):
            yield decode(encoded or b"", image_shape, most_pixels)


def encoded_images(path: Path) -> Iterator[bytes | None]:
    """Yield the bytes of each image, None where there are none; a few rows are in memory."""
    for batch in pq.ParquetFile(path).iter_batches(batch_size=64, columns=["image"]):
        column = batch.column(0)
        values = pc.struct_field(column, "bytes") if pa.types.is_struct(column.type) else column
        for value in values:
            yield value.as_py()


def _empty(image_shape: ImageShape) -> pa.Table:
    return raw_table(np.empty(0, np.int64), np.empty((0, *image_shape), np.uint8))
