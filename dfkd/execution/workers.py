"""Warm workers: many cells, one per core or slice of a GPU, in processes that Ray keeps between
them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import ray
from ray.exceptions import RayError

from dfkd.execution.preparing import PreparedInputs
from dfkd.execution.session import Compute, slots
from dfkd.seeding import use_deterministic
from dfkd.storage.ledger import Ledger, Outcome
from dfkd.training.cells import Job, compute
from dfkd.training.inputs import MappedInputs, inputs_key


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A cell that could not be computed. Not an outcome: the next call tries it again. Its log lies
    in the ledger.
    """

    job: Job
    reason: str


@ray.remote(max_calls=0)  # not 1, Ray's default for tasks with a GPU: the process is kept
def _compute(job: Job, mapped: MappedInputs, where: Compute) -> Outcome:
    use_deterministic(where.cpus)
    return compute(job, mapped.open(), where.storage, where.device)


def outcomes(
    jobs: Sequence[Job], prepared: dict[str, PreparedInputs], where: Compute
) -> Iterator[Outcome | Failure]:
    """The cells' outcomes in the order in which they end. A worker that dies is replaced and its
    cell resumed.
    """
    if where.workers > 1:
        from dfkd.execution.train_group import distribute  # Ray Train takes seconds to import

        for job in jobs:
            yield distribute(job, ray.get(prepared[inputs_key(job.cell)].mapped), where)
        return
    task = _compute.options(num_cpus=where.cpus, num_gpus=where.gpus, max_retries=3)
    waiting, running = deque(jobs), dict["ray.ObjectRef[Outcome]", Job]()
    while waiting or running:
        while waiting and len(running) < slots(where):
            job = waiting.popleft()
            running[task.remote(job, prepared[inputs_key(job.cell)].mapped, where)] = job
        done, _ = ray.wait(list(running), num_returns=1)
        job = running.pop(done[0])
        try:
            yield ray.get(done[0])
        except (RayError, RuntimeError, ValueError) as error:
            Ledger(where.storage).write_error(job.name, str(error))
            yield Failure(job=job, reason=str(error).strip().splitlines()[-1])
