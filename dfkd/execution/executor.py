"""The crew of one call: what was prepared, the workers, and MLflow, for drivers that need many
cells computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from dfkd.execution.preparing import PreparedInputs, environment_of_workers, prepare
from dfkd.execution.session import Compute
from dfkd.execution.workers import Failure, outcomes
from dfkd.experiment import Cell
from dfkd.reporting.console import Console
from dfkd.storage.ledger import Outcome
from dfkd.training.cells import Job, RunContext
from dfkd.training.provenance import git_commit


class Executor:
    """Everything that the cells share is there when this is made; `compute` then computes cells."""

    def __init__(self, cells: Iterable[Cell], compute: Compute, console: Console) -> None:
        self.where, self.console = compute, console
        self.prepared: dict[str, PreparedInputs] = prepare(cells, compute, console)
        digests = {
            key: (prepared.source.teacher.digest, prepared.source.pool.digest)
            for key, prepared in self.prepared.items()
        }
        environment = environment_of_workers(compute)
        self.run_context = RunContext(
            environment=environment, digests=digests, tags={"git_commit": git_commit()}
        )

    def compute(
        self, title: str, jobs: Iterable[Job], on_outcome: Callable[[Outcome], None]
    ) -> tuple[dict[str, Outcome], list[Failure]]:
        """These cells by name, each once, and those that could not be computed after all
        attempts.
        """
        distinct = {job.name: job for job in jobs}
        done: dict[str, Outcome] = {}
        failures: list[Failure] = []
        with self.console.progress(title, len(distinct), "cells") as advance:
            for outcome in outcomes(list(distinct.values()), self.prepared, self.where):
                if isinstance(outcome, Failure):
                    failures.append(outcome)
                    self.console.warn(f"the cell {outcome.job.name} failed: {outcome.reason}")
                else:
                    done[outcome.cell] = outcome
                    on_outcome(outcome)
                advance(1)
        return done, failures
