"""What Ray Data's workers do for scoring: read a shard, answer to its images, write the scores.

A row of the data set is a shard: first its number `index` and the `shard`, then what was read of
it, at last its `ending`. N images, H height, W width, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ray._private.worker import global_worker

from dfkd.data.pools import Shard
from dfkd.data.tasks import Task
from dfkd.execution.compute import Compute
from dfkd.experiment import Cell
from dfkd.reporting.failures import in_a_line
from dfkd.scores import Scorer, write_scores
from dfkd.scores.not_finite import NotFinite
from dfkd.seeding import use_deterministic

Batch = dict[str, Any]  # of one row
# of files, storages, memory and devices; anything else is a mistake in a program, and ends it all
FAULTS = (OSError, MemoryError, RuntimeError, ValueError)


@dataclass(frozen=True)
class Ending:
    """What became of a shard.

    reason: why it has no scores, "" where it has. again: whether another attempt may end otherwise.
    """

    reason: str = ""
    again: bool = False
    not_finite: NotFinite | None = None

    @classmethod
    def by(cls, error: BaseException) -> Ending:
        """Return what to say of an error. What was written or answered wrongly stays so."""
        again = not isinstance(error, ValueError)
        return cls(in_a_line(error), again, error if isinstance(error, NotFinite) else None)


@dataclass(frozen=True)
class ScorerPlan:
    """What a scorer is made from where it is needed; no weights travel.

    key: equal for those that make the same scorer.
    """

    key: str
    cell: Cell = field(compare=False)
    compute: Compute = field(compare=False)

    @property
    def task(self) -> Task:
        return self.cell.experiment.task


def read_shard(batch: Batch, plan: ScorerPlan) -> Batch:
    """Read a shard's row ids and images, decoded where they are encoded."""
    [shard], shape = batch["shard"], plan.task.image_shape
    row_id_N, images_NHWC = np.empty(0, np.int64), np.empty((0, *shape), np.uint8)
    ending = before()
    if not ending.reason:
        try:
            row_id_N, images_NHWC = shard.read(shape)
        except FAULTS as error:
            ending = Ending.by(error)
    read = {"row_id": row_id_N[None], "images": images_NHWC[None], "ending": _column(ending)}
    return {**batch, **read}


class ShardScorer:
    """Keeps the teacher, answers to what was read of shards, and writes their scores.

    Several threads may call it: one shard's scores are written while another one's images are on
    the device.
    """

    def __init__(self, plan: ScorerPlan) -> None:
        cell, compute = plan.cell, plan.compute
        use_deterministic(compute.cpus)
        trained = cell.experiment.teacher.obtain(plan.task, compute.storage, cell.block.teacher)
        self.scorer = Scorer(trained, plan.task, compute.device)
        self.storage, self.cache = compute.storage, cell.experiment.cache
        self.device_is_free = Lock()

    def __call__(self, batch: Batch) -> Batch:
        """Score a shard that was read; return its number and what became of it."""
        [shard], [ending] = batch["shard"], batch["ending"]
        [row_id_N], [images_NHWC] = batch["row_id"], batch["images"]
        ending = ending if ending.reason else before()
        if not ending.reason:
            try:
                self._score(shard, row_id_N, images_NHWC)
            except FAULTS as error:
                ending = Ending.by(error)
        return {"index": batch["index"], "ending": _column(ending)}

    def _score(
        self, shard: Shard, row_id_N: NDArray[np.int64], images_NHWC: NDArray[np.uint8]
    ) -> None:
        with self.device_is_free:
            answers = self.scorer(images_NHWC)
        write_scores(self.storage, self.scorer, shard, row_id_N, *answers, self.cache)


def nothing(batch: Batch) -> Batch:
    """Do nothing: whoever is asked to has made the imports of this module."""
    return batch


def read_and_score(batch: Batch, plan: ScorerPlan) -> Batch:
    """Do all of it in a warm process of Ray's, which the cells will use after that."""
    return _kept_scorer(plan)(read_shard(batch, plan))


@lru_cache(maxsize=1)
def _kept_scorer(plan: ScorerPlan) -> ShardScorer:
    return ShardScorer(plan)


def before() -> Ending:
    """Return how an earlier attempt at the same work ended: whoever had it died, or none was there.

    Ray would give it out again for ever. What counts its attempts is private to Ray, which has no
    public way to ask; a test fails when it is gone.
    """
    core_worker = global_worker.core_worker  # type: ignore[attr-defined]
    died = core_worker.get_current_task_attempt_number() > 0
    reason = "the process or machine that worked on it died: out of memory, as a rule"
    return Ending(reason, again=True) if died else Ending()


def _column(ending: Ending) -> NDArray[np.object_]:
    return np.array([ending], dtype=object)
