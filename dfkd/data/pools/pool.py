"""What a pool is. Anything with `files` and a `version` is one; yours needs no base class."""

from typing import ClassVar, Protocol, Self

from dfkd.data.importing.shards import ImageShape, PoolFiles
from dfkd.identity import Piece
from dfkd.storage import Storage


class Pool(Protocol):
    """Frozen, so that an experiment can hold it."""

    version: ClassVar[int]  # raised when the same fields begin to give other images

    @classmethod
    def example(cls) -> Self:
        """An instance with likely values, for tables and tests."""
        ...

    def files(self, image_shape: ImageShape, storage: Storage, draw: int = 0) -> PoolFiles:
        """The shards for images of (H, W, C), made in `storage` where need be; a second call writes
        nothing.

        `draw` names one of several independent pools of the same kind, for blocks that vary the
        pool as well.
        """


class PoolBase(Piece):
    """What a pool may inherit."""
