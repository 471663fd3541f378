"""A pool's images as cells read them: a memory map of all, or the shards and a cell's own rows.

Whichever it is decides how fast images come, never which: no identity knows of it. An array
[N, H, W, C] is a `PoolImages` too. N rows of the pool, M of them gathered, R asked for, H height, W
width, C channels.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dfkd.data.importing.shards import ImageShape, PoolFiles

Rows = NDArray[np.int64]
IN_MEMORY = 256 * 2**20  # bytes of gathered rows; more lie in a file that the kernel pages


class PoolImages(Protocol):
    """Has one image of one shape per row. It is indexed as an array is, along its first axis."""

    @property
    def shape(self) -> tuple[int, ...]:
        """N, H, W, C."""

    def __len__(self) -> int:
        """Return N."""

    def __getitem__(self, rows: Any, /) -> NDArray[np.uint8]:
        """Return the images [R, H, W, C] of a slice or of an array of rows, that of one row."""


@dataclass(frozen=True)
class ShardImages:
    """Images that stay in the pool's shards: every question reads the shards that it is about.

    Ask about many rows together, or read them in order with `in_batches`.
    """

    pool: PoolFiles
    image_shape: ImageShape

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.pool.rows, *self.image_shape)

    def __len__(self) -> int:
        return self.pool.rows

    def __getitem__(self, rows: Any, /) -> NDArray[np.uint8]:
        rows_R = np.arange(len(self))[rows]
        unique, places_R = np.unique(rows_R, return_inverse=True)
        images = np.concatenate([np.empty((0, *self.image_shape), np.uint8), *self.read(unique)])
        return images[places_R.reshape(np.shape(rows_R))]

    def read(self, rows_R: Rows) -> Iterator[NDArray[np.uint8]]:
        """Yield the images of these rows, ascending, each shard once and few of it together."""
        start = 0
        for shard in self.pool.shards:
            first, last = np.searchsorted(rows_R, (start, start + shard.rows))
            places = rows_R[first:last] - start
            start += shard.rows
            if len(places):
                yield from shard.images(places, self.image_shape)


@dataclass(frozen=True)
class GatheredImages:
    """The rows that a cell can use, of a pool that has more. Asking for others is an IndexError."""

    rows_M: Rows  # ascending
    images_MHWC: NDArray[np.uint8]
    rows: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.rows, *self.images_MHWC.shape[1:])

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, rows: Any, /) -> NDArray[np.uint8]:
        rows_R = np.asarray(rows)
        places_R = np.searchsorted(self.rows_M, rows_R).clip(max=len(self.rows_M) - 1)
        if (self.rows_M[places_R] != rows_R).any():
            raise IndexError("a cell asked for rows of the pool that were not gathered for it")
        return np.asarray(self.images_MHWC[places_R])


def gathered(images: PoolImages, rows_M: Rows) -> PoolImages:
    """Return images from which these rows, ascending, are read at once; arrays as they are."""
    if not isinstance(images, ShardImages):
        return images
    shape = (len(rows_M), *images.image_shape)
    if np.prod(shape) > IN_MEMORY:
        return GatheredImages(rows_M, _in_a_file(images.read(rows_M), shape), len(images))
    images_MHWC, at = np.empty(shape, np.uint8), 0
    for part in images.read(rows_M):
        images_MHWC[at : at + len(part)] = part
        at += len(part)
    return GatheredImages(rows_M, images_MHWC, len(images))


def _in_a_file(parts: Iterator[NDArray[np.uint8]], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return a map of a temporary file that goes with it. Written plainly: a full disk is told."""
    with tempfile.TemporaryFile() as file:
        for part in parts:
            file.write(part.data)
        file.flush()
        images: NDArray[np.uint8] = np.memmap(file, np.uint8, "r", shape=shape)
        return images


def in_batches(images: PoolImages, rows_R: Rows, size: int) -> Iterator[NDArray[np.uint8]]:
    """Yield the images of these rows, ascending, `size` together; each shard is read once."""
    if not isinstance(images, ShardImages):
        for start in range(0, len(rows_R), size):
            yield images[rows_R[start : start + size]]
        return
    waiting = np.empty((0, *images.image_shape), np.uint8)
    for part in images.read(rows_R):
        waiting = np.concatenate([waiting, part])
        whole = len(waiting) - len(waiting) % size
        yield from (waiting[start : start + size] for start in range(0, whole, size))
        waiting = waiting[whole:]
    if len(waiting):
        yield waiting
