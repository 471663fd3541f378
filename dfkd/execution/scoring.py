"""Scoring with Ray Data: the teacher's answer to every shard of a pool that has none yet."""

from __future__ import annotations

import json
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
from dfkd.scores import Scorer, missing_shards, score_shard
from dfkd.scores.not_finite import NotFinite, together
from dfkd.seeding import use_deterministic
from dfkd.training.inputs import InputSource

POLL_S = 1.0


class ShardScorer:
    """An actor of Ray Data: it keeps the teacher and writes the scores of whole shards."""

    def __init__(self, cell: Cell, shards: list[Shard], compute: Compute) -> None:
        use_deterministic(compute.cpus)
        task, teacher = cell.experiment.task, cell.experiment.teacher
        # Read from the storage: as an argument, Ray would lose it when it restarts the actor
        trained = teacher.obtain(task, compute.storage, cell.block.teacher)
        self.scorer = Scorer(trained, task, compute.device)
        self.storage, self.shards, self.cache = compute.storage, shards, cell.experiment.cache

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Score the shards with these numbers; return what was refused of each, as JSON, or ""."""
        return {"refused": np.array([self._score(self.shards[i]) for i in batch["item"]])}

    def _score(self, shard: Shard) -> str:
        try:
            score_shard(self.storage, self.scorer, shard, self.cache)
        except NotFinite as why:  # told to the driver, which has all counts and says one line
            return json.dumps(why.args)
        return ""


def score(cell: Cell, source: InputSource, compute: Compute) -> Iterator[int]:
    """Score what is missing, and yield now and then how many more rows are done.

    After it was killed, it goes on with the next shard. Raises NotFinite, with the counts of all
    shards, where the teacher's answers are NaN or infinite.
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
        if ended and (refused := ray.get(running)):  # raises what went wrong otherwise
            raise together(refused, sum(shard.rows for shard in missing))


@ray.remote(num_cpus=0)
def _score(cell: Cell, missing: list[Shard], compute: Compute) -> list[NotFinite]:
    """Run Ray Data's driver in a task: its log does not mix with ours, and the head stays free."""
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
    said = [row["refused"] for row in dataset.take_all()]
    return [NotFinite(*json.loads(text)) for text in said if text]
