"""Scoring with Ray Data: the teacher's answer to every shard of a pool that has none yet.

Without GPUs warm processes do all of it, and no image travels between them. For GPUs, CPU workers
read and decode ahead, and actors answer and write. Ray Data is driven from this process.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import ray.data
from ray.data import ActorPoolStrategy, Dataset, TaskPoolStrategy

from dfkd.data.pools import Shard
from dfkd.execution.compute import Compute
from dfkd.execution.score_workers import (
    Ending,
    ScorerPlan,
    ShardScorer,
    nothing,
    read_and_score,
    read_shard,
)
from dfkd.execution.session import slots
from dfkd.execution.waits import for_one
from dfkd.execution.watchdog import Watchdog
from dfkd.experiment import Cell
from dfkd.identity import digest
from dfkd.reporting.numbers import counted
from dfkd.scores import missing_shards
from dfkd.scores.not_finite import together
from dfkd.storage.lease import Say, log
from dfkd.training.inputs import InputSource, inputs_key

ATTEMPTS = 3
MOST_FAILED = 100  # shards in one attempt; where more fail, it is no fault of theirs
CALLS = 2  # of an actor at a time: one shard is written while the next one is on the device


class NotScored(OSError):
    """Shards that failed in all attempts, said in one line."""

    def __init__(self, failed: Mapping[int, Ending], shards: Sequence[Shard]) -> None:
        first, count = min(failed), len(failed)
        what = f"{shards[first].file} ({failed[first].reason})"
        super().__init__(
            errno.EIO,
            f"{count} of {len(shards)} shards could not be scored, among them {what}: see to that, "
            "and the same command scores what is left",
        )


def score(cell: Cell, source: InputSource, compute: Compute, say: Say = log) -> Iterator[int]:
    """Score what is missing, and yield after each shard how many rows it has.

    After it was killed, it goes on with the next shard. say: told of long waits. Raises NotFinite,
    with the counts of all shards, where the teacher's answers are NaN or infinite, and NotScored
    where anything else kept a shard from being scored in all attempts; the others are scored then.
    """
    missing = missing_shards(
        compute.storage, source.teacher.digest, source.pool, source.task, source.cache
    )
    plan = _plan(cell, source, compute)
    left, failed = list(range(len(missing))), dict[int, Ending]()
    for attempt in range(ATTEMPTS):
        endings = _attempt({index: missing[index] for index in left}, plan, alone=attempt > 0)
        for index, ending in _watched(endings, missing, compute, say):
            failed.pop(index, None)
            if not ending.reason:
                yield missing[index].rows
                continue
            failed[index] = ending
            if sum(ending.again for ending in failed.values()) > MOST_FAILED:
                raise NotScored(failed, missing)
        left = [index for index, ending in failed.items() if ending.again]
    _check(failed, missing)


def _watched(
    endings: Iterator[tuple[int, Ending]], missing: Sequence[Shard], compute: Compute, say: Say
) -> Iterator[tuple[int, Ending]]:
    """Yield the same. say: told when none has come for long."""
    what = f"scoring of {counted(len(missing), 'shard')}"
    watchdog = Watchdog(say, lambda: for_one(what, compute))
    with watchdog.beside():
        for ending in endings:
            watchdog.ended()
            yield ending


def rehearse() -> None:
    """Let Ray Data start its processes and make the imports that a scoring would wait for."""
    with _quiet():
        dataset = ray.data.from_items([{"index": 0}])
        dataset.context.enable_progress_bars = False
        dataset.map_batches(nothing, num_cpus=1).take_all()


def _check(failed: Mapping[int, Ending], missing: Sequence[Shard]) -> None:
    """Raise what has to be said of shards without scores."""
    not_finite = [ending.not_finite for ending in failed.values() if ending.not_finite]
    if not_finite:
        raise together(not_finite, sum(shard.rows for shard in missing))
    if failed:
        raise NotScored(failed, missing)


def _attempt(
    left: Mapping[int, Shard], plan: ScorerPlan, alone: bool
) -> Iterator[tuple[int, Ending]]:
    """Yield what became of these shards, each as it ends.

    alone: no two shards in a process, so that none of them dies with another one's process.
    """
    if not left:
        return
    if not plan.compute.gpus:
        with _quiet():
            yield from _endings(left, plan, alone)
        return
    for ending in _apart.remote(left, plan, alone):  # type: ignore[attr-defined]
        yield ray.get(ending)


@ray.remote(num_cpus=0, num_returns="streaming")
def _apart(
    left: Mapping[int, Shard], plan: ScorerPlan, alone: bool
) -> Iterator[tuple[int, Ending]]:
    """Drive Ray Data in a task: what Ray's core says of each pool of actors goes to a log file."""
    yield from _endings(left, plan, alone)


def _endings(
    left: Mapping[int, Shard], plan: ScorerPlan, alone: bool
) -> Iterator[tuple[int, Ending]]:
    items = [{"index": index, "shard": shard} for index, shard in left.items()]
    dataset = ray.data.from_items(items, override_num_blocks=len(items))
    context = dataset.context
    context.enable_progress_bars = False
    context.actor_init_retry_on_errors = True
    context.max_consecutive_actor_init_deaths = ATTEMPTS
    context.execution_no_progress_timeout_s = -1  # a shard may take hours on a CPU
    scored = _on_gpus(dataset, plan, alone) if plan.compute.gpus else _on_cpus(dataset, plan)
    for row in scored.iter_rows():
        yield row["index"], row["ending"]


def _on_cpus(dataset: Dataset, plan: ScorerPlan) -> Dataset:
    """Let warm processes do all of it."""
    return dataset.map_batches(
        partial(read_and_score, plan=plan),
        batch_size=1,
        num_cpus=plan.compute.cpus,
        compute=TaskPoolStrategy(size=_side_by_side(dataset, plan)),
    )


def _on_gpus(dataset: Dataset, plan: ScorerPlan, alone: bool) -> Dataset:
    """Let CPU workers read ahead of actors, which have a GPU and, as Ray Data wants it, no CPU."""
    read = dataset.map_batches(partial(read_shard, plan=plan), batch_size=1, num_cpus=1)
    count = _side_by_side(dataset, plan)
    return read.map_batches(
        ShardScorer,
        fn_constructor_kwargs={"plan": plan},
        batch_size=1,
        num_gpus=plan.compute.gpus,
        compute=ActorPoolStrategy(
            min_size=1,
            max_size=count,
            initial_size=count,
            max_concurrent_calls_per_actor=1 if alone else CALLS,
            max_tasks_in_flight_per_actor=1 if alone else 2 * CALLS,
            enable_true_multi_threading=True,  # the scorer has a lock for its GPU
        ),
    )


def _side_by_side(dataset: Dataset, plan: ScorerPlan) -> int:
    """Return how many shards are scored at a time."""
    shards: int = dataset.count()
    return min(shards, slots(replace(plan.compute, workers=1)))


def _plan(cell: Cell, source: InputSource, compute: Compute) -> ScorerPlan:
    made_from = [inputs_key(cell), source.teacher.digest, str(compute.storage)]
    return ScorerPlan(
        digest([*made_from, compute.cpus, compute.device]), cell=cell, compute=compute
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what Ray Data says out of the terminal; its log file has it."""
    handlers = logging.getLogger("ray.data").handlers
    shown = [(one, one.level) for one in handlers if isinstance(one, logging.StreamHandler)]
    try:
        for handler, _ in shown:
            handler.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for handler, level in shown:
            handler.setLevel(level)
