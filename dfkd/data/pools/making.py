"""Making: how any pool gets into the storage, in steps that run side by side in any process.

for todo in work.rounds():   # what can be made now; the next round builds on it
    for one in todo:
        work.make(one)       # may be a task on a cluster; what is there already is found
pool = work.files()
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dfkd.data.importing.shards import ImageShape, PoolFiles
from dfkd.storage import Storage


class Making(Protocol):
    """A pool on its way into the storage. It travels to tasks, and so does what its rounds hold."""

    def rounds(self) -> Iterator[Sequence[Any]]:
        """What `make` can do side by side; a round is asked for when the one before it is done."""
        ...

    def make(self, todo: Any) -> None: ...

    def files(self) -> PoolFiles:
        """The pool; what is missing is made in this process."""
        ...


def making(pool: Any, image_shape: ImageShape, storage: Storage, draw: int = 0) -> Making:
    """A pool says it itself (`making`), or it is made shard by shard (`shard_count`, `make_shard`),
    or in one piece.
    """
    if hasattr(pool, "making"):
        work: Making = pool.making(image_shape, storage, draw)
        return work
    return ByShards(pool, image_shape, storage, draw)


@dataclass(frozen=True)
class ByShards:
    """A pool whose shards are known by their number."""

    pool: Any
    image_shape: ImageShape
    storage: Storage
    draw: int

    def rounds(self) -> Iterator[Sequence[int]]:
        if hasattr(self.pool, "make_shard"):
            yield range(self.pool.shard_count)

    def make(self, todo: int) -> None:
        self.pool.make_shard(todo, self.image_shape, self.storage, self.draw)

    def files(self) -> PoolFiles:
        files: PoolFiles = self.pool.files(self.image_shape, self.storage, self.draw)
        return files
