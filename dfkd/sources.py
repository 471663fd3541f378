"""Sources: what many cells share - a task, a teacher, a draw of the pool and the teacher's scores of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dfkd.data.pools import PoolFiles, read_shard
from dfkd.data.tasks import Task
from dfkd.distill import Material
from dfkd.experiment import Cell
from dfkd.files import check_writable
from dfkd.models.teachers import TrainedNetwork
from dfkd.probe import draw_probe
from dfkd.scores import missing_shards, read_scores, score_path, score_shard
from dfkd.values import digest, spec


@dataclass(frozen=True, kw_only=True)
class Source:
    """A teacher that is trained or read, and a pool that lies on disk."""

    task: Task
    teacher: TrainedNetwork
    pool: PoolFiles


def source_key(cell: Cell) -> str:
    """Equal for cells that share a source, known before anything is trained or drawn."""
    e, block = cell.experiment, cell.block
    paths = [getattr(part, "path", "") for part in (e.task, e.pool, e.teacher)]  # two files are two sources
    return digest([spec(e.task), spec(e.pool), spec(e.teacher), *paths, block.draw, block.teacher])


def check(cell: Cell, storage: Path) -> None:
    """ValueError with one line if the teacher or the pool cannot serve, before anything is computed or written."""
    e, block = cell.experiment, cell.block
    e.teacher.check(e.task)
    check_writable(storage)
    if not hasattr(e.pool, "make_shard"):  # the user's files; an embedded pool is drawn later
        e.pool.files(e.task.image_shape, storage, block.draw)


def obtain(cell: Cell, storage: Path) -> Source:
    """Train or read the teacher and put the pool in place, in this process. The second time both are found."""
    e, block = cell.experiment, cell.block
    pool = e.pool.files(e.task.image_shape, storage, block.draw)
    return Source(task=e.task, teacher=e.teacher.obtain(e.task, storage, block.teacher), pool=pool)


def score_here(source: Source, storage: Path, device: str = "cpu") -> None:
    """Score the shards that have no scores yet, one after the other in this process."""
    for shard in missing_shards(storage, source.teacher.digest, source.pool, source.task):
        score_shard(storage, source.teacher, shard, source.task, device)


def load(source: Source, storage: Path) -> Material:
    """Images, scores and probe as arrays in memory. The scores must be there."""
    paths = [score_path(storage, source.teacher.digest, shard, source.task) for shard in source.pool.shards]
    scores = read_scores(paths)
    images = [read_shard(shard.path, source.task.image_shape)[1] for shard in source.pool.shards]
    return Material(
        images_NHWC=np.concatenate(images),
        scores=scores,
        probe=draw_probe(scores),
        validation=source.task.validation(),
        teacher=source.teacher,
    )
