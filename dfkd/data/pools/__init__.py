"""Pools: unlabelled images from which a student is distilled.

A pool is a folder of Parquet shards (`importing/columns.py` has the format, `shards.py` a writer).
Yours inherits `BasePool`, or `ShardedPool` where its shards can be drawn side by side.
"""

from dfkd.data.importing.columns import read_characters, read_shard
from dfkd.data.importing.shards import PoolFiles, Shard
from dfkd.data.pools.garments import WildGarments
from dfkd.data.pools.glyphs import Glyphs
from dfkd.data.pools.image_folder import ImageFolder
from dfkd.data.pools.mixture import MixedPool
from dfkd.data.pools.original import TrainingImages
from dfkd.data.pools.parquet_pool import ParquetPool
from dfkd.data.pools.pool import BasePool, Pool
from dfkd.data.pools.sharded import ShardedPool
from dfkd.data.pools.torchvision_pool import TorchvisionPool
from dfkd.data.pools.webdataset import WebDatasetTars

__all__ = [
    "POOLS",
    "BasePool",
    "Glyphs",
    "ImageFolder",
    "MixedPool",
    "ParquetPool",
    "Pool",
    "PoolFiles",
    "Shard",
    "ShardedPool",
    "TorchvisionPool",
    "TrainingImages",
    "WebDatasetTars",
    "WildGarments",
    "read_characters",
    "read_shard",
]


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
