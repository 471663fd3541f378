"""Scoring with Ray Data: the teacher's answer to every shard of a pool that has none yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import ray
import ray.data

from dfkd.data.pools import Shard
from dfkd.execution.compute import Compute
from dfkd.execution.session import slots
from dfkd.experiment import Cell
from dfkd.scores import missing_shards, score_shard
from dfkd.seeding import use_deterministic
from dfkd.training.inputs import InputSource

POLL_S = 1.0


class ShardScorer:
    """One actor: keeps the teacher, scores whole shards, writes each into its content-addressed
    file.
    """

    def __init__(self, cell: Cell, shards: list[Shard], compute: Compute) -> None:
        use_deterministic(compute.cpus)
        e = cell.experiment
        # Read again from storage: as an argument, Ray would lose it when the actor has to be
        # restarted
        self.teacher = e.teacher.obtain(e.task, compute.storage, cell.block.teacher)
        self.task, self.cache, self.shards, self.compute = e.task, e.cache, shards, compute

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        shards = [self.shards[index] for index in batch["item"]]
        for shard in shards:
            score_shard(
                self.compute.storage,
                self.teacher,
                shard,
                self.task,
                self.compute.device,
                self.cache,
            )
        return {"rows": np.array([shard.rows for shard in shards])}


def score(cell: Cell, source: InputSource, compute: Compute) -> Iterator[int]:
    """Score what is missing; yields now and then how many rows were done. Killed, it goes on with
    the next shard.
    """
    storage, digest = compute.storage, source.teacher.digest
    missing = missing_shards(storage, digest, source.pool, source.task, source.cache)
    running = _score.remote(cell, missing, compute)
    left = sum(shard.rows for shard in missing)
    while left:
        ended, _ = ray.wait([running], timeout=POLL_S)
        now_missing = missing_shards(storage, digest, source.pool, source.task, source.cache)
        left_now = sum(shard.rows for shard in now_missing)
        yield left - left_now
        left = left_now
        if ended:
            ray.get(running)  # raises what went wrong


@ray.remote(num_cpus=0)
def _score(cell: Cell, missing: list[Shard], compute: Compute) -> None:
    """Ray Data's own driver, in a task: its log does not mix with ours, and the head of a cluster
    stays free.
    """
    ray.data.DataContext.get_current().enable_progress_bars = False
    dataset = ray.data.from_items(
        list(range(len(missing))), override_num_blocks=len(missing)
    ).map_batches(
        ShardScorer,
        fn_constructor_kwargs={"cell": cell, "shards": missing, "compute": compute},
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(
            min_size=1, max_size=min(len(missing), slots(replace(compute, workers=1)))
        ),
        # Not whole CPUs: actors that hold every CPU leave none for Ray Data's own tasks, and it
        # waits for ever
        num_cpus=0.75 * compute.cpus,
        num_gpus=compute.gpus or None,
    )
    dataset.materialize()
