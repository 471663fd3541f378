"""What a pool promises, and the base class with what a pool may leave out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from dfkd.data.importing.builder import PoolBuilder, sample_of_shards
from dfkd.data.importing.shards import ImageShape, PoolFiles
from dfkd.identity import Piece
from dfkd.storage import Storage


class Pool(Protocol):
    """Unlabelled images, as a frozen dataclass that an experiment can hold.

    A pool of your own inherits BasePool, has a `version` and one of two methods: `files`, which
    writes shards (`dfkd.data.importing.shards.write_shard`) to files of the storage,
    `storage.file(layout.pool("its-own-name") / "0.parquet")`, and returns them, or `builder`, where
    shards can be made side by side. Everything else has a default there.
    """

    version: ClassVar[int]  # raised when the same fields begin to give other images

    @classmethod
    def example(cls) -> Self:
        """Return an instance with likely values, for tables and tests."""

    def check(self, image_shape: ImageShape) -> None:
        """Raise ValueError in one line if there can be no images of this shape (H, W, C).

        It is cheap, looks at what lies outside the storage and writes nothing.
        """

    def builder(self, image_shape: ImageShape, storage: Storage, draw: int = 0) -> PoolBuilder:
        """Return what puts the pool into the storage; ValueError as in `check`, or for the draw.

        draw: names one of several independent pools of the same kind, for blocks that vary it.
        """

    def files(self, image_shape: ImageShape, storage: Storage, draw: int = 0) -> PoolFiles:
        """Return the shards, made in `storage` where need be; a second call writes nothing."""


class BasePool(Piece):
    """What a pool may leave out: `check`, `example`, and one of `files` and `builder`."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.files is BasePool.files and cls.builder is BasePool.builder:
            raise TypeError(f"a pool must define files or builder, but {cls.__name__} has neither")

    def check(self, image_shape: ImageShape) -> None:
        """Accept every shape; a pool that cannot make some of them says so itself."""

    def builder(self, image_shape: ImageShape, storage: Storage, draw: int = 0) -> PoolBuilder:
        """Return a builder without steps: `files` makes all of it."""
        return InOnePiece(self, image_shape, storage, draw)

    def files(self, image_shape: ImageShape, storage: Storage, draw: int = 0) -> PoolFiles:
        """Return the shards, made in this process where they are missing."""
        return self.builder(image_shape, storage, draw).files()


@dataclass(frozen=True)
class InOnePiece(PoolBuilder):
    """Builds a pool that has only `files`."""

    pool: BasePool
    image_shape: ImageShape
    storage: Storage
    draw: int

    def rounds(self) -> Any:
        return iter(())

    def make(self, step: Any) -> None:
        raise AssertionError("there are no steps")

    def finish(self) -> PoolFiles:
        return self.pool.files(self.image_shape, self.storage, self.draw)

    def sample(self, most: int) -> NDArray[np.uint8]:
        paths = [shard.path for shard in self.finish().shards]
        return sample_of_shards(paths, self.image_shape, most)
