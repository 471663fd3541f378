"""The study ablations.components on 5 blocks: its cells against bare training of the same steps.

The phase of the cells is timed, as a user waits for it: with evaluations, test set, ledger and
MLflow, in warm workers. The bare loop trains the same 25 students on one thread for each core and
does nothing else; once more, it also evaluates them as often as the study does. The first study of
a session, whose workers are cold, is told by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace

from ablations.components import study_of
from benchmarks.measuring.bare import BareProcesses, Trained
from benchmarks.measuring.digits import inputs_storage, recipe
from benchmarks.measuring.figures import Bench, Check, Found, quotient, seconds
from dfkd.execution.compute import Compute
from dfkd.execution.executor import Executor
from dfkd.execution.ray_executor import ray_executor
from dfkd.experiment import Cell
from dfkd.models.teachers import weights_digest
from dfkd.reporting.console import Console
from dfkd.seeding import use_deterministic
from dfkd.storage import Storage, open_storage
from dfkd.storage.ledger import Ledger
from dfkd.studies import Study
from dfkd.studies.driver import run_study

ROUNDS, BLOCKS = 3, 5
PLATFORM, BARE = "platform", "bare loop on all cores"
EVALUATED = "bare loop on all cores, with the evaluations"


def measure(bench: Bench) -> Found:
    use_deterministic(1)
    study = replace(study_of(recipe(bench)), blocks=bench.size(BLOCKS, 2))
    cells = list(study.cells().values())
    compute, watch = Compute(storage=inputs_storage(bench)), Stopwatch(quiet=True)
    with ray_executor(cells, compute, watch) as executor:
        studies = Studies(bench, study, executor, watch)
        cold = studies.compute()
        with BareProcesses(executor.inputs(cells[0])) as bare:
            students = bare.train(cells)
            sides = {
                PLATFORM: studies.compute,
                BARE: lambda: bare.seconds(cells),
                EVALUATED: lambda: bare.seconds(cells, evaluate=True),
            }
            taken = bench.in_turn(ROUNDS, sides)
    figures = [
        *(seconds(f"{name}, {len(cells)} cells", values) for name, values in taken.items()),
        seconds(f"{PLATFORM}, first study of a session", [cold]),
        *(
            quotient(f"speed: {PLATFORM} / {name}", taken[name], taken[PLATFORM])
            for name in (BARE, EVALUATED)
        ),
    ]
    return Found(figures=figures, checks=[studies.check(cells, students)])


class Studies:
    """The same study again and again in one session, each time into an empty ledger."""

    def __init__(self, bench: Bench, study: Study, executor: Executor, watch: Stopwatch) -> None:
        self.bench, self.study, self.executor, self.watch = bench, study, executor, watch
        self.count = 0

    def compute(self) -> float:
        """Run the study, and return the seconds of its cells."""
        self.count += 1
        storage = self._storage()
        apart = self.executor.apart(storage)
        run_study(
            "components",
            self.study,
            Compute(storage=storage),
            Console(quiet=True),
            open_executor=lambda *_: nullcontext(apart),
        )
        return self.watch.seconds

    def _storage(self) -> Storage:
        return open_storage(self.bench.folder / f"study-{self.count}")

    def check(self, cells: list[Cell], students: list[Trained]) -> Check:
        """The last study's students are those of the bare loop."""
        ledger, context = Ledger(self._storage()), self.executor.run_context
        names = [context.job(cell, read_test=True).name for cell in cells]
        equal = [
            weights_digest(ledger.weights(name)) == student.digest
            for name, student in zip(names, students, strict=True)
        ]
        claim = f"{PLATFORM} and bare loop: equal weights"
        return Check(claim=claim, holds=all(equal), seen=f"{sum(equal)} of {len(equal)} students")


class Stopwatch(Console):
    """A console that knows how long the last work took of which it showed the progress."""

    seconds = 0.0

    @contextmanager
    def progress(self, name: str, total: int, unit: str) -> Iterator[Callable[..., None]]:
        started = time.perf_counter()
        with super().progress(name, total, unit) as advance:
            yield advance
        self.seconds = time.perf_counter() - started
