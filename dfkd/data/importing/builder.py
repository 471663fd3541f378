"""How any pool gets into the storage: in steps that run side by side, in any process.

N images, H height, W width, C channels.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfkd.data.importing.columns import read_first
from dfkd.data.importing.shards import ImageShape, PoolFiles

PLACES = 8  # of a sample, evenly spaced in the pool: its files are often in the order of something


class PoolBuilder(ABC):
    """Puts one pool into a storage. It travels to other processes, and so do its steps.

    for steps in builder.rounds():
        for step in steps:
            builder.make(step)  # in any order and process
    pool = builder.finish()
    """

    @abstractmethod
    def rounds(self) -> Iterator[Sequence[Any]]:
        """Yield the steps that are missing, as lists whose steps can be made side by side.

        The next list is asked for when all steps of the one before have been made.
        """

    @abstractmethod
    def make(self, step: Any) -> None:
        """Make what one step of `rounds` stands for."""

    @abstractmethod
    def finish(self) -> PoolFiles:
        """Return the pool when all steps have been made. ValueError where it cannot be used."""

    @abstractmethod
    def sample(self, most: int) -> NDArray[np.uint8]:
        """Return about `most` of the pool's images (N, H, W, C) or fewer; no more of it is made."""

    def files(self) -> PoolFiles:
        """Return the pool; what is missing is made in this process."""
        for steps in self.rounds():
            for step in steps:
                self.make(step)
        return self.finish()

    def found(self) -> PoolFiles | None:
        """Return the pool if it lies in the storage whole, else None.

        No image is made for it, but by a pool that has only `files`, which alone can tell.
        """
        return None if any(len(steps) for steps in self.rounds()) else self.finish()


def spaced(count: int) -> list[int]:
    """Return the numbers of up to PLACES of `count` parts, evenly spaced."""
    return sorted({i * count // PLACES for i in range(PLACES)}) if count else []


def first_of_each(
    parts: Sequence[Iterable[NDArray[np.uint8]]], most: int, image_shape: ImageShape
) -> NDArray[np.uint8]:
    """Return images (N, H, W, C), from each part as many as make about `most` together."""
    each = -(-most // max(len(parts), 1))
    images = [image_HWC for part in parts for image_HWC in islice(part, each)]
    return np.stack(images) if images else np.empty((0, *image_shape), np.uint8)


def sample_of_shards(
    paths: Sequence[Path], image_shape: ImageShape, most: int
) -> NDArray[np.uint8]:
    """Return about `most` images (N, H, W, C) of these shards of raw pixels, from spaced ones."""
    places = spaced(len(paths))
    each = -(-most // max(len(places), 1))
    parts = [read_first(paths[i], image_shape, each) for i in places]
    return first_of_each(parts, most, image_shape)
