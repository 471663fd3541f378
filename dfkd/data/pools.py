"""Pools: unlabelled images from which a student is distilled.

A pool is a folder of Parquet shards (`shards.py` has the format and a writer). Anything with `files` and a
`version` is a pool; yours needs no base class.
"""

from pathlib import Path
from typing import ClassVar, Protocol

from dfkd.data.garments import WildGarments
from dfkd.data.glyphs import Glyphs
from dfkd.data.image_folder import ImageFolder
from dfkd.data.mixture import MixedPool
from dfkd.data.original import TrainingImages
from dfkd.data.parquet_pool import ParquetPool
from dfkd.data.shards import (
    ImageShape,
    PoolFiles,
    Shard,
    read_characters,
    read_shard,
)
from dfkd.data.torchvision_pool import TorchvisionPool
from dfkd.data.webdataset import WebDatasetTars

__all__ = [
    "POOLS", "Glyphs", "ImageFolder", "MixedPool", "ParquetPool", "Pool", "PoolFiles", "Shard",
    "TorchvisionPool", "TrainingImages", "WebDatasetTars", "WildGarments", "read_characters", "read_shard",
]  # fmt: skip


class Pool(Protocol):
    """Frozen, so that an experiment can hold it."""

    version: ClassVar[int]  # raised when the same fields begin to give other images

    def files(self, image_shape: ImageShape, storage: Path, draw: int = 0) -> PoolFiles:
        """The shards for images of (H, W, C), made in `storage` where need be; a second call writes nothing.

        `draw` names one of several independent pools of the same kind, for blocks that vary the pool as well.
        """


POOLS: tuple[type[Pool], ...] = (
    Glyphs,
    WildGarments,
    ImageFolder,
    WebDatasetTars,
    ParquetPool,
    TorchvisionPool,
    MixedPool,
    TrainingImages,
)
