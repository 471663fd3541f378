"""Preparing: teachers, pools and scores for many cells, each once, side by side on the cluster."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import ray

from dfkd.cluster.session import Compute
from dfkd.console import Console
from dfkd.environment import Environment, this_environment
from dfkd.experiment import Cell
from dfkd.models.teachers import TrainedNetwork
from dfkd.randomness import use_deterministic
from dfkd.scores import missing_shards
from dfkd.sources import Packed, Source, pack, source_key


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A source with all that its cells read on disk, to be mapped by workers: one copy in the memory of each node."""

    source: Source
    packed: ray.ObjectRef[Packed]


def prepare(cells: Iterable[Cell], compute: Compute, console: Console) -> dict[str, Prepared]:
    """Everything that these cells share, by source key. What is on disk already is read, nothing is made twice."""
    distinct = {source_key(cell): cell for cell in cells}
    return {key: _prepare(cell, compute, console) for key, cell in distinct.items()}


def _prepare(cell: Cell, compute: Compute, console: Console) -> Prepared:
    source = _obtain(cell, compute.storage, console)
    missing = missing_shards(compute.storage, source.teacher.digest, source.pool, source.task)
    if missing:
        from dfkd.cluster.scoring import score  # Ray Data takes seconds to import

        with console.progress("scoring the pool with the teacher", sum(s.rows for s in missing), "rows") as advance:
            for rows in score(cell, source, compute):
                advance(rows)
    packed = _pack.remote(source, compute.storage)
    ray.wait([packed], fetch_local=False)  # what goes wrong in it is raised where it is used
    return Prepared(source=source, packed=packed)


def _obtain(cell: Cell, storage: Path, console: Console) -> Source:
    """The teacher in one task, beside it the pool's shards, if the pool can be drawn shard by shard."""
    e, block = cell.experiment, cell.block
    teacher = _teacher.remote(cell, storage)
    with console.step("teacher and pool"):
        make_shard = getattr(e.pool, "make_shard", None)
        if make_shard is not None:
            shape = e.task.image_shape
            ray.get([_shard.remote(e.pool, i, shape, storage, block.draw) for i in range(e.pool.shard_count)])  # type: ignore[attr-defined]
        pool = e.pool.files(e.task.image_shape, storage, block.draw)
        return Source(task=e.task, teacher=ray.get(teacher), pool=pool)


@ray.remote(num_cpus=1)
def _teacher(cell: Cell, storage: Path) -> TrainedNetwork:
    use_deterministic(1)
    return cell.experiment.teacher.obtain(cell.experiment.task, storage, cell.block.teacher)


@ray.remote(num_cpus=1)
def _shard(pool, index, image_shape, storage, draw) -> None:  # type: ignore[no-untyped-def]
    pool.make_shard(index, image_shape, storage, draw)


@ray.remote(num_cpus=1)
def _pack(source: Source, storage: Path) -> Packed:
    return pack(source, storage)


def environment_of_workers(compute: Compute) -> Environment:
    """What cells are computed on. Asked of a worker: the driver may sit on a head without a GPU."""
    task = _environment.options(num_cpus=compute.cpus, num_gpus=compute.gpus)
    return ray.get(task.remote(compute))


@ray.remote
def _environment(compute: Compute) -> Environment:
    return this_environment(compute.device, compute.workers, compute.cpus)
