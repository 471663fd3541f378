"""The local executor: one cell after the other in this process, without Ray."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dfkd.execution.compute import Compute, check_machine
from dfkd.execution.executor import Failure, OnOutcome, failure_of, run_context_of
from dfkd.experiment import Cell
from dfkd.reporting.console import Console
from dfkd.seeding import use_deterministic
from dfkd.storage import Storage
from dfkd.storage.lease import using
from dfkd.storage.ledger import Ledger
from dfkd.storage.outcome import Outcome
from dfkd.training.cells import Computation
from dfkd.training.environment import this_environment
from dfkd.training.inputs import (
    InputSource,
    MappedInputs,
    check_space,
    inputs_key,
    obtain,
    score_here,
)
from dfkd.training.jobs import Job, RunContext
from dfkd.training.prepared import mapped_and_noted

if TYPE_CHECKING:
    from dfkd.execution.group import Group


@contextmanager
def local_executor(
    cells: Iterable[Cell], where: Compute, console: Console
) -> Iterator[LocalExecutor]:
    """Prepare everything that these cells read, in this process.

    Raises ValueError for several workers, which need Ray, and for a GPU that is not there.
    """
    if where.workers > 1:
        raise ValueError(
            f"this process is one worker, but got workers={where.workers!r}: use Ray's executor"
        )
    check_machine(where)
    use_deterministic(where.cpus)
    with using(where.storage):
        distinct = {inputs_key(cell): cell for cell in cells}
        sources = {key: _prepare(cell, where, console) for key, cell in distinct.items()}
        environment = this_environment(
            where.device, threads=where.cpus, precision=where.precision, compiled=where.compiled
        )
        prepared = {
            key: mapped_and_noted(cell, sources[key], where.storage)
            for key, cell in distinct.items()
        }
        run_context = run_context_of(sources, environment, where)
        yield LocalExecutor(
            where=where, console=console, run_context=run_context, prepared=prepared
        )


@dataclass(frozen=True, kw_only=True)
class LocalExecutor:
    """An `Executor` in this process. prepared: inputs key -> what its cells read."""

    where: Compute
    console: Console
    run_context: RunContext
    prepared: Mapping[str, MappedInputs]

    def compute(
        self, title: str, jobs: Iterable[Job], on_outcome: OnOutcome
    ) -> tuple[dict[str, Outcome], list[Failure]]:
        """See `Executor.compute`. Errors that no input explains are raised, not returned."""
        distinct = {job.name: job for job in jobs}
        done, failures = dict[str, Outcome](), list[Failure]()
        steps = sum(job.cell.experiment.schedule.steps for job in distinct.values())
        with self.console.progress(title, steps, "steps") as advance:
            for job in distinct.values():
                try:
                    outcome = self._compute(job, advance)
                except (RuntimeError, ValueError):
                    log = traceback.format_exc()
                    failures.append(failure_of(job, log, self.where.storage, self.console))
                    continue
                done[outcome.cell] = outcome
                on_outcome(outcome)
        return done, failures

    def inputs(self, cell: Cell) -> MappedInputs:
        """See `Executor.inputs`."""
        return self.prepared[inputs_key(cell)]

    def groups(self) -> Sequence[Group]:
        """See `Executor.groups`: there are none in one process."""
        return ()

    def apart(self, storage: Storage) -> LocalExecutor:
        """See `Executor.apart`."""
        return replace(self, where=replace(self.where, storage=storage))

    def _compute(self, job: Job, advance: Callable[..., None]) -> Outcome:
        inputs, ledger = self.inputs(job.cell).open(), Ledger(self.where.storage)
        say = self.console.warn
        computation, at = Computation(job, inputs, ledger, self.where.device, say=say), 0
        try:
            while (point := computation.advance()) is not None:
                advance(int(point["step"]) - at, f"probe {point['probe']:.3f}")
                at = int(point["step"])
        finally:
            computation.close()
        assert computation.outcome is not None
        return computation.outcome


def _prepare(cell: Cell, where: Compute, console: Console) -> InputSource:
    """Train or read the teacher, put the pool in place and score it."""
    with console.step("teacher, pool and scores"):
        source = obtain(cell, where.storage, where.device)
        space = check_space(source, where.storage)
        if space.rows:
            console.line(space.line())
        score_here(source, where.storage, where.device)
    if source.pool.set_aside is not None:
        console.line(source.pool.set_aside.line(source.pool.rows))
    return source
