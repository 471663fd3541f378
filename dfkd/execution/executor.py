"""Executor: who computes cells for a driver, on Ray or in this process, behind one interface.

A driver takes a function that opens an executor, so that another one can be given to it:

    with open_executor(cells, compute, console) as executor:
        done, failures = executor.compute("study x", jobs, on_outcome)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dfkd.execution.compute import Compute
from dfkd.experiment import Cell
from dfkd.reporting.console import Console
from dfkd.storage import Storage, layout
from dfkd.storage.ledger import Ledger
from dfkd.storage.outcome import Outcome
from dfkd.training.environment import Environment
from dfkd.training.inputs import InputSource, MappedInputs
from dfkd.training.jobs import Job, RunContext
from dfkd.training.provenance import commits
from dfkd.user_modules import fault_in

if TYPE_CHECKING:
    from dfkd.execution.group import Group

OnOutcome = Callable[[Outcome], None]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A cell that could not be computed.

    It is no outcome: the next call tries it again. Its log lies in the ledger.
    """

    job: Job
    reason: str  # one line


def failure_of(job: Job, log: str, storage: Storage, console: Console) -> Failure:
    """Keep the log of a failed cell in the ledger, say the failure, and return it."""
    Ledger(storage).write_error(job.name, log)
    reason = fault_in(log)
    console.warn(f"{job.shown} failed: {reason}")
    return Failure(job=job, reason=reason)


def run_context_of(
    sources: Mapping[str, InputSource], environment: Environment, where: Compute
) -> RunContext:
    """Return what all jobs on these sources share. sources: inputs key -> what was prepared."""
    pools = {key: source.pool for key, source in sources.items()}
    return RunContext(
        environment=environment,
        digests={key: (s.teacher.digest, s.pool.digest) for key, s in sources.items()},
        tags=commits(),
        accept_changed_code=where.accept_changed_code,
        synthesis={key: p.seconds for key, p in pools.items() if p.seconds is not None},
    )


class Executor(Protocol):
    """Computes cells whose teachers, pools and scores were prepared when it was opened."""

    @property
    def run_context(self) -> RunContext:
        """What makes jobs of cells: the environment, and the digests of what was prepared."""

    def compute(
        self, title: str, jobs: Iterable[Job], on_outcome: OnOutcome
    ) -> tuple[dict[str, Outcome], list[Failure]]:
        """Compute the cells of `jobs`, each once, or read them from the ledger where they lie.

        `title` stands in the terminal; `on_outcome` is called with each outcome as soon as it is
        there. Returns the outcomes by the cells' names, and the cells that failed in all attempts.
        """

    def inputs(self, cell: Cell) -> MappedInputs:
        """Return where the prepared inputs of this cell lie, for any process to map."""

    def groups(self) -> Sequence[Group]:
        """Return the groups of workers that stay, where a cell takes several workers."""

    def apart(self, storage: Storage) -> Executor:
        """Return an executor with the same inputs whose ledger lies in another folder."""


# The one method that choosing and confirming need: an executor's `compute`, or the ledger's cells
ComputeCells = Callable[[str, Iterable[Job], OnOutcome], tuple[dict[str, Outcome], list[Failure]]]
OpenExecutor = Callable[[Iterable[Cell], Compute, Console], AbstractContextManager[Executor]]


def compute_all(
    compute: ComputeCells, title: str, jobs: Iterable[Job], on_outcome: OnOutcome
) -> dict[str, Outcome]:
    """Compute all of these cells and return their outcomes by name.

    Raises ValueError with one line if a cell failed in all attempts.
    """
    done, failures = compute(title, jobs, on_outcome)
    for failure in failures:
        log = layout.cell(failure.job.name) / layout.ERROR
        raise ValueError(
            f"a cell failed ({failure.reason}), its log is {log}; the same command tries it again"
        )
    return done
