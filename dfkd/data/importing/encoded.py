"""Shards that keep encoded images: less disk for large images, which are decoded when read.

`image` has the bytes that were imported, `pixels` a checksum of what they were decoded to: neither
damage nor another decoder changes an image without a word. N rows of a shard, R asked for, H
height, W width, C channels.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dfkd.data.images.decoded import side_by_side
from dfkd.data.images.decoding import ImageShape, Rejected, decode

MOST_PIXELS = b"most_pixels"


@dataclass(frozen=True)
class Encoded:
    """The bytes of a shard's images, in order. most_pixels: as many as one was allowed to have."""

    bytes_N: Sequence[bytes]
    most_pixels: int


class OtherPixels(ValueError):
    """An image is not decoded to the pixels that it had when it was imported."""


def encoded_table(
    row_id_N: NDArray[np.int64],
    images_NHWC: NDArray[np.uint8],
    encoded: Encoded,
    columns: Mapping[str, pa.Array] | None = None,
) -> pa.Table:
    """Return the table of a shard. images_NHWC: what the bytes were decoded to."""
    table = pa.table(
        {
            "row_id": pa.array(row_id_N),
            "image": pa.array(encoded.bytes_N, pa.binary()),
            "pixels": pa.array([zlib.crc32(image.data) for image in images_NHWC], pa.uint32()),
            **dict(columns or {}),
        }
    )
    return table.replace_schema_metadata({MOST_PIXELS: str(encoded.most_pixels)})


def keeps_encoded(path: Path) -> bool:
    """Return whether `encoded_table` made this shard; images that are encoded do not tell it."""
    return MOST_PIXELS in (pq.read_schema(path).metadata or {})


def encoded_rows(path: Path, rows_R: NDArray[np.int64]) -> Encoded:
    """Return what `write_shard` keeps of these rows in another shard."""
    table = pq.read_table(path, columns=["image"])
    return Encoded(table["image"].take(rows_R).to_pylist(), int(table.schema.metadata[MOST_PIXELS]))


def encoded_images(
    path: Path, rows_R: NDArray[np.int64], image_shape: ImageShape, together: int
) -> Iterator[NDArray[np.uint8]]:
    """Yield the images of these rows, ascending, at most `together` of them at a time.

    They are decoded by as many threads as the process may use. OtherPixels where they are not
    those that were imported.
    """
    at = 0
    with pq.ParquetFile(path, pre_buffer=False) as file:
        most_pixels = int(file.schema_arrow.metadata[MOST_PIXELS])
        one = partial(_decoded, image_shape=image_shape, most_pixels=most_pixels)
        for batch in file.iter_batches(together, columns=["image", "pixels"]):
            here = slice(*np.searchsorted(rows_R, (at, at + len(batch))))
            wanted = batch.take(pa.array(rows_R[here] - at)).to_pylist()
            at += len(batch)
            if wanted:
                yield np.stack(list(side_by_side(one, wanted)))


def _decoded(
    row: Mapping[str, bytes | int], image_shape: ImageShape, most_pixels: int
) -> NDArray[np.uint8]:
    try:
        image_HWC = decode(row["image"], image_shape, most_pixels)  # type: ignore[arg-type]
    except Rejected as why:
        raise OtherPixels(f"an image is {why.reason}") from why
    if zlib.crc32(np.ascontiguousarray(image_HWC).data) != row["pixels"]:
        raise OtherPixels("an image has other pixels")
    return image_HWC
