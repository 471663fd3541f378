"""Inputs of a recorded cell, opened again: nothing is scored, drawn or trained for it."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dfkd.data.pools import PoolFiles
from dfkd.data.pools.pool_images import PoolImages
from dfkd.experiment import Experiment
from dfkd.models.teachers import TrainedNetwork
from dfkd.scores import Scores, missing_shards
from dfkd.scores.memory_map import memory_map_here, memory_map_key, open_memory_map
from dfkd.seeding import Block
from dfkd.storage import Storage, layout
from dfkd.synthesis.pool import builder_of
from dfkd.training.probe import draw_probe

GONE = (
    "the pool and the teacher's scores of this study are not in the storage that the report "
    "was made from"
)


class Absent(ValueError):
    """Why a variant's selection cannot be shown, in one line."""


def probe_images(
    e: Experiment, block: Block, tags: Mapping[str, str], storage: Storage
) -> NDArray[np.uint8]:
    """Return the images on which a cell with these tags was judged without labels.

    ValueError where they are not there.
    """
    _, images_NHWC, scores = recorded_memory_map(e, block, tags["teacher"], tags["pool"], storage)
    return images_NHWC[draw_probe(scores).rows_P]


def recorded_memory_map(
    e: Experiment, block: Block, teacher: str, pool_digest: str, storage: Storage
) -> tuple[str, PoolImages, Scores]:
    """Return the name of the memory map of a cell, its images and scores. Absent where gone."""
    pool = _pool(e, block, teacher, pool_digest, storage)
    key = memory_map_key(teacher, pool, e.task, e.cache)
    if not storage.exists(key):
        raise Absent(GONE)
    is_here = storage.cache_path(key).exists()
    if not is_here and missing_shards(storage, teacher, pool, e.task, e.cache):
        raise Absent(GONE)
    folder = memory_map_here(key, storage, teacher, pool, e.task, e.cache)
    return folder.name, *open_memory_map(folder, pool, e.task)


def _pool(e: Experiment, block: Block, teacher: str, digest: str, storage: Storage) -> PoolFiles:
    """Return the pool as it lies there: nothing is drawn or imported for a report."""
    if not storage.exists(layout.PACKS):
        raise Absent(GONE)
    named = TrainedNetwork(network=e.teacher.network, weights={}, digest=teacher)
    pool = builder_of(e.pool, e.task, lambda: named, storage, block.draw).found()
    if pool is None:
        raise Absent(GONE)
    if pool.digest != digest:
        raise Absent("the pool in the storage has other pixels than the study's")
    return pool
