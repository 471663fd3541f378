"""Ray's executor: many cells side by side, in warm worker processes or in groups of Train workers.

A warm worker is a process that Ray keeps between cells, one per core or slice of a GPU.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

import ray
from ray.exceptions import RayError

from dfkd.execution.board import Held, SharedCell
from dfkd.execution.compute import Compute
from dfkd.execution.executor import Failure, OnOutcome, failure_of, run_context_of
from dfkd.execution.group import Group
from dfkd.execution.preparing import PreparedInputs, environment_of_workers, prepare
from dfkd.execution.session import session, slots
from dfkd.execution.waits import for_cells
from dfkd.execution.watchdog import Watchdog
from dfkd.experiment import Cell
from dfkd.reporting.console import Console
from dfkd.seeding import use_deterministic
from dfkd.storage import Storage
from dfkd.storage.lease import log
from dfkd.storage.ledger import Ledger
from dfkd.storage.outcome import Outcome
from dfkd.training.cells import compute
from dfkd.training.inputs import MappedInputs, inputs_key
from dfkd.training.jobs import Job, RunContext, outcome_that_serves


@contextmanager
def ray_executor(cells: Iterable[Cell], where: Compute, console: Console) -> Iterator[RayExecutor]:
    """Start or join a Ray cluster and prepare everything that these cells read.

    Raises ValueError before anything is written if the cluster can never hold one cell, or its
    workers cannot share a batch.
    """
    cells = list(cells)
    batches = {cell.experiment.schedule.batch for cell in cells}
    with session(where, batches), ExitStack() as stack:
        # first of all: it says if a GPU is of no use
        environment = environment_of_workers(where, console)
        prepared = prepare(cells, where, console)
        sources = {key: inputs.source for key, inputs in prepared.items()}
        run_context = run_context_of(sources, environment, where)
        yield RayExecutor(
            where=where, console=console, run_context=run_context, prepared=prepared, stack=stack
        )


@dataclass(frozen=True, kw_only=True)
class RayExecutor:
    """An `Executor` in an open Ray session.

    prepared: inputs key -> what its cells read. stack: what ends with the session. opened: groups
    of several workers, which stay from the first cell that needs them on.
    """

    where: Compute
    console: Console
    run_context: RunContext
    prepared: Mapping[str, PreparedInputs]
    stack: ExitStack
    opened: list[Group] = field(default_factory=list)

    def compute(
        self, title: str, jobs: Iterable[Job], on_outcome: OnOutcome
    ) -> tuple[dict[str, Outcome], list[Failure]]:
        """See `Executor.compute`. A worker that dies is replaced and its cell resumed."""
        distinct = {job.name: job for job in jobs}
        done, failures = dict[str, Outcome](), list[Failure]()
        with self.console.progress(title, len(distinct), "cells") as advance:
            for outcome in self._outcomes(list(distinct.values())):
                if isinstance(outcome, Failure):
                    failures.append(outcome)
                else:
                    done[outcome.cell] = outcome
                    on_outcome(outcome)
                advance(1)
        return done, failures

    def inputs(self, cell: Cell) -> MappedInputs:
        """See `Executor.inputs`."""
        return ray.get(self.prepared[inputs_key(cell)].mapped)

    def groups(self) -> Sequence[Group]:
        """See `Executor.groups`. New ones are started where Ray Train has given one up."""
        from dfkd.execution.worker_groups import worker_groups  # Ray Train takes seconds to import

        mapped = [inputs.mapped for inputs in self.prepared.values()]
        ray.wait(mapped, num_returns=len(mapped), fetch_local=False)  # groups take their CPUs
        over, _ = ray.wait([g.run for g in self.opened], timeout=0) if self.opened else ([], [])
        if over or not self.opened:
            self.stack.close()
            self.opened[:] = self.stack.enter_context(worker_groups(self.where, self.console.line))
        return self.opened

    def apart(self, storage: Storage) -> RayExecutor:
        """See `Executor.apart`; the folder must lie where every node sees it."""
        return replace(self, where=replace(self.where, storage=storage))

    def _outcomes(self, jobs: Sequence[Job]) -> Iterator[Outcome | Failure]:
        """Yield in the order in which the cells end."""
        return self._by_groups(jobs) if self.where.workers > 1 else self._by_warm_workers(jobs)

    def _by_groups(self, jobs: Sequence[Job]) -> Iterator[Outcome | Failure]:
        storage, unknown = self.where.storage, list[Job]()
        for job in jobs:
            try:
                known = outcome_that_serves(job, Ledger(storage))
            except ValueError as error:
                yield failure_of(job, str(error), storage, self.console)
                continue
            if known is None:
                unknown.append(job)
            else:
                yield known
        if unknown:
            yield from self._in_groups(unknown)

    def _in_groups(self, jobs: Sequence[Job]) -> Iterator[Outcome | Failure]:
        from dfkd.execution.worker_groups import compute_in  # Ray Train takes seconds to import

        storage = self.where.storage
        mapped = [self.prepared[inputs_key(job.cell)].mapped for job in jobs]
        cells = [
            SharedCell(job=job, mapped=ref, storage=storage)
            for job, ref in zip(jobs, mapped, strict=True)
        ]
        for ended in compute_in(self.groups(), cells, self.where, self.console):
            if isinstance(ended, Outcome):
                yield ended
            else:
                yield failure_of(*ended, storage, self.console)

    def _by_warm_workers(self, jobs: Sequence[Job]) -> Iterator[Outcome | Failure]:
        where = self.where
        options = {"num_cpus": where.cpus, "num_gpus": where.gpus, "max_retries": 3}
        waiting, running = deque(jobs), dict["ray.ObjectRef[Outcome | Held]", Job]()
        asked = dict[str, float]()  # when each of these was handed to Ray
        held = set[str]()  # by other commands, and said
        watchdog = Watchdog(self.console.line, lambda: for_cells(asked, where))

        def start() -> None:
            while waiting and len(running) < slots(where):
                job = waiting.popleft()
                mapped = self.prepared[inputs_key(job.cell)].mapped
                task = _compute.options(**options, name=job.title or job.name)  # in Ray's dashboard
                running[task.remote(job, mapped, where, job.name in held)] = job
                asked[job.name] = time.monotonic()

        start()
        while running:
            done = watchdog.first(list(running))
            job = running.pop(done)
            del asked[job.name]
            ended: Outcome | Failure | None = None
            try:
                outcome = ray.get(done)
                if isinstance(outcome, Outcome):
                    ended = outcome
                else:
                    held.add(job.name)
                    self.console.warn(outcome.line)
                    waiting.append(job)  # the others first
            except (RayError, RuntimeError, ValueError) as error:
                ended = failure_of(job, str(error), where.storage, self.console)
            start()  # before the outcome is told: no worker waits for MLflow
            if ended is not None:
                yield ended


class _GiveUp(Exception):
    pass


@ray.remote(max_calls=0)  # not 1, Ray's default for tasks with a GPU: the process is kept
def _compute(job: Job, mapped: MappedInputs, where: Compute, patient: bool) -> Outcome | Held:
    """Compute a cell; `patient`: however long another command computes the same one."""

    def give_up(line: str) -> None:
        raise _GiveUp(line)

    use_deterministic(where.cpus)
    try:
        say = log if patient else give_up
        return compute(job, mapped.open(), where.storage, where.device, say)
    except _GiveUp as why:
        return Held(line=str(why))
