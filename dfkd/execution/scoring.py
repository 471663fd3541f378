"""Scoring: the teacher's answer to every shard of a pool that has none yet.

Ray Data does it (`scoring_pipeline.py`). A few shards on CPUs are given to Ray tasks, which do the
same without Ray Data's start of some seconds.
"""

import errno
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice

import ray

from dfkd.data.pools import Shard
from dfkd.execution.compute import Compute
from dfkd.execution.score_workers import Ending, ScorerPlan, read_and_score
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
FEW = 32  # shards that are scored without Ray Data


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
    """Yield what became of these shards, each as it ends. alone: as for `scoring_pipeline`."""
    if needs_pipeline(left, plan.compute):
        from dfkd.execution import scoring_pipeline  # Ray Data takes seconds to import

        yield from scoring_pipeline.endings(left, plan, alone)
        return
    ask = _read_and_score.options(num_cpus=plan.compute.cpus).remote
    coming, most = iter(left.items()), slots(plan.compute.of_one_worker())
    asked = [ask(*of_one, plan) for of_one in islice(coming, most)]
    while asked:
        [ended], asked = ray.wait(asked)
        asked += [ask(*of_one, plan) for of_one in islice(coming, 1)]
        yield ray.get(ended)


def needs_pipeline(shards: Collection[object], compute: Compute) -> bool:
    """Return whether Ray Data scores so many shards, and not plain tasks."""
    return bool(shards) and (compute.gpus > 0 or len(shards) > FEW)


@ray.remote
def _read_and_score(index: int, shard: Shard, plan: ScorerPlan) -> tuple[int, Ending]:
    [ending] = read_and_score({"index": [index], "shard": [shard]}, plan)["ending"]
    return index, ending


def _plan(cell: Cell, source: InputSource, compute: Compute) -> ScorerPlan:
    made_from = [inputs_key(cell), source.teacher.digest, str(compute.storage)]
    return ScorerPlan(
        digest([*made_from, compute.cpus, compute.device]), cell=cell, compute=compute
    )
