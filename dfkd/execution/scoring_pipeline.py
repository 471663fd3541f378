"""The scoring of many shards with Ray Data, which is driven from this process.

Without GPUs warm processes do all of it, and no image travels between them. For GPUs, CPU workers
read and decode ahead, and actors answer and write.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import ray.data
from ray.data import ActorPoolStrategy, Dataset, TaskPoolStrategy

from dfkd.data.pools import Shard
from dfkd.execution.score_workers import (
    Ending,
    ScorerPlan,
    ShardScorer,
    nothing,
    read_and_score,
    read_shard,
)
from dfkd.execution.session import slots

ATTEMPTS = 3  # to start an actor
CALLS = 2  # of an actor at a time: one shard is written while the next one is on the device


def rehearse() -> None:
    """Let Ray Data start its processes and make the imports that a scoring would wait for."""
    with _quiet():
        dataset = ray.data.from_items([{"index": 0}])
        dataset.context.enable_progress_bars = False
        dataset.map_batches(nothing, num_cpus=1).take_all()


def endings(
    left: Mapping[int, Shard], plan: ScorerPlan, alone: bool
) -> Iterator[tuple[int, Ending]]:
    """Yield what became of these shards, each as it ends.

    alone: no two shards in a process, so that none of them dies with another one's process.
    """
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
    return min(shards, slots(plan.compute.of_one_worker()))


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
