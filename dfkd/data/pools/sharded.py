"""Pools whose shards are known by their number before any of them is made."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfkd.data.importing.builder import PoolBuilder, sample_of_shards
from dfkd.data.importing.shards import ImageShape, PoolFiles, Shard
from dfkd.data.pools.pool import BasePool
from dfkd.storage import Storage


class ShardedPool(BasePool):
    """A pool that says how many shards it has and how each is made; the shards are its steps."""

    @property
    @abstractmethod
    def shard_count(self) -> int:
        """How many shards the pool has."""

    @abstractmethod
    def make_shard(
        self, index: int, image_shape: ImageShape, storage: Storage, draw: int = 0
    ) -> Shard:
        """Make one shard of the pool, or return it where it is there already."""

    def missing(self, image_shape: ImageShape, storage: Storage, draw: int = 0) -> Sequence[int]:
        """Return the numbers of shards that may not be there; `make_shard` looks closer."""
        return range(self.shard_count)

    def files(self, image_shape: ImageShape, storage: Storage, draw: int = 0) -> PoolFiles:
        return PoolFiles(
            tuple(self.make_shard(i, image_shape, storage, draw) for i in range(self.shard_count))
        )

    def builder(self, image_shape: ImageShape, storage: Storage, draw: int = 0) -> PoolBuilder:
        return ByShards(self, image_shape, storage, draw)


@dataclass(frozen=True)
class ByShards(PoolBuilder):
    """Builds a pool shard by shard."""

    pool: ShardedPool
    image_shape: ImageShape
    storage: Storage
    draw: int

    def rounds(self) -> Iterator[Sequence[int]]:
        yield self.pool.missing(self.image_shape, self.storage, self.draw)

    def make(self, step: int) -> None:
        self.pool.make_shard(step, self.image_shape, self.storage, self.draw)

    def finish(self) -> PoolFiles:
        return self.pool.files(self.image_shape, self.storage, self.draw)

    def sample(self, most: int) -> NDArray[np.uint8]:
        """Return images of the first shard, which is made and kept."""
        first = self.pool.make_shard(0, self.image_shape, self.storage, self.draw)
        return sample_of_shards([first.path], self.image_shape, most)
