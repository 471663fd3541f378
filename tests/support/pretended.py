"""Studies without the minutes that their cells take: an executor that makes outcomes up."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from synthetic import ENVIRONMENT, write_cell

from ablations.components import study as components
from dfkd.execution.compute import Compute
from dfkd.execution.executor import Failure, OpenExecutor
from dfkd.execution.group import Group
from dfkd.experiment import Cell
from dfkd.reporting.console import Console
from dfkd.storage import FolderStorage
from dfkd.storage.outcome import Outcome
from dfkd.training.inputs import MappedInputs, inputs_key
from dfkd.training.jobs import Job, RunContext

GAINS = {"without selection": -0.08, "without explicit": 0.05}
HOUR = 3600.0
NOBODY = "http://127.0.0.1:9"  # an MLflow that never answers costs a study nothing


@dataclass(frozen=True, kw_only=True)
class PretendedExecutor:
    """An `Executor` that computes nothing: a cell's outcome follows from its name.

    failing: cells that fail. elsewhere: cells that another command computes meanwhile. again: the
    accuracy of a cell that is computed apart.
    """

    storage: FolderStorage
    run_context: RunContext
    failing: frozenset[str] = frozenset()
    elsewhere: frozenset[str] = frozenset()
    again: float | None = None
    is_apart: bool = False

    def compute(
        self, title: str, jobs: Iterable[Job], on_outcome: Callable[[Outcome], None]
    ) -> tuple[dict[str, Outcome], list[Failure]]:
        done, failures = dict[str, Outcome](), list[Failure]()
        for job in jobs:
            if job.name in self.failing:
                failures.append(Failure(job=job, reason="killed"))
                continue
            test = self.again if self.is_apart and self.again is not None else accuracy(job)
            outcome = write_cell(self.storage.root, job, test, seconds=HOUR)
            done[job.name] = replace(outcome, fresh=job.name not in self.elsewhere)
            on_outcome(done[job.name])
        return done, failures

    def inputs(self, cell: Cell) -> MappedInputs:
        raise NotImplementedError

    def groups(self) -> Sequence[Group]:
        return ()

    def apart(self, storage: FolderStorage) -> "PretendedExecutor":
        return replace(self, storage=storage, is_apart=True)


def pretended(teacher: str = "teacher0", **options: Any) -> OpenExecutor:
    """Return what opens a `PretendedExecutor` whose cells have a teacher with this digest."""

    @contextmanager
    def opened(
        cells: Iterable[Cell], compute: Compute, console: Console
    ) -> Iterator[PretendedExecutor]:
        digests = {inputs_key(cell): (teacher, "pool0") for cell in cells}
        run_context = RunContext(
            environment=ENVIRONMENT, digests=digests, tags={"git_commit": "abc"}
        )
        yield PretendedExecutor(storage=compute.storage, run_context=run_context, **options)

    return opened


def accuracy(job: Job) -> float:
    """Return 0.9 plus the gain of the variant, a little of the block and a little of the name."""
    recipe = job.cell.experiment.fingerprint()
    gains = {components.variants[name].fingerprint(): gain for name, gain in GAINS.items()}
    noise = int(job.name[:6], 16) / 0xFFFFFF
    return round(0.9 + gains.get(recipe, 0.0) + 0.005 * noise + 0.001 * job.cell.block.seed, 6)
