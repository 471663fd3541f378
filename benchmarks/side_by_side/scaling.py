"""What the platform's own work costs as it doubles: rows, classes, trials, blocks.

No student is trained: outcomes are made up, and everything around them is real: the teacher's
answers turned into scores, the probe and the selection; a search with Optuna, journal and page; a
study with ledger, MLflow, statistics and page. Seconds are those of the processor in this process,
so that other work on the machine counts little. N rows, K classes, D feature width.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from ablations.components import study as components
from benchmarks.measuring.figures import Bench, Check, Figure, Found, say, seconds
from dfkd import recipes
from dfkd.execution.compute import Compute
from dfkd.execution.executor import Failure, OnOutcome
from dfkd.execution.group import Group
from dfkd.experiment import Cell
from dfkd.method.selection.selecting import rows_taken
from dfkd.reporting.console import Console
from dfkd.scores.scores import scores_of
from dfkd.storage import FolderStorage, Storage, layout
from dfkd.storage.ledger import Ledger
from dfkd.storage.outcome import Outcome
from dfkd.studies.driver import run_study
from dfkd.sweeps.context import TrialContext
from dfkd.sweeps.journal import Journal
from dfkd.sweeps.options import SearchOptions
from dfkd.sweeps.page import write_report
from dfkd.sweeps.record import read
from dfkd.sweeps.search import SweepSearch
from dfkd.sweeps.sweep import Sweep
from dfkd.sweeps.trials import trial_in
from dfkd.training.cells import outcome_of
from dfkd.training.environment import this_environment
from dfkd.training.inputs import MappedInputs, inputs_key
from dfkd.training.jobs import Job, RunContext
from dfkd.training.probe import draw_probe

DOUBLINGS, ROUNDS, WIDTH = 4, 3, 32
FIRST = {"rows": 62_500, "classes": 80, "trials": 25, "blocks": 5}
TINY = {"rows": 500, "classes": 4, "trials": 2, "blocks": 2}
MOST_PER_DOUBLING = 2.3  # linear, and what timings are off by


def measure(bench: Bench) -> Found:
    figures, checks = list[Figure](), list[Check]()
    for number, axis in enumerate(COSTS):
        _timed(bench, axis, TINY[axis], f"{number}-warm")  # imports count in no size
        first, doublings = (TINY, 1) if bench.quick else (FIRST, DOUBLINGS)
        sizes = [first[axis] * 2**i for i in range(doublings + 1)]
        found = [_timed(bench, axis, size, f"{number}-{i}") for i, size in enumerate(sizes)]
        figures += found
        growth = [b.median / a.median for a, b in pairwise(found)]
        said = ", ".join(f"{factor:.2f}" for factor in growth)
        holds = bench.quick or max(growth) <= MOST_PER_DOUBLING
        checks.append(Check(claim=f"twice the {axis} is at most linear", holds=holds, seen=said))
    return Found(figures=figures, checks=checks)


def _timed(bench: Bench, axis: str, size: int, name: str) -> Figure:
    taken = list[float]()
    for index in range(bench.size(ROUNDS, 1)):
        folder = bench.folder / f"scaling-{name}-{index}"
        folder.mkdir()
        work = COSTS[axis](size, folder)
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    found = seconds(f"{axis} {size:,}", taken)
    say(f"  {found.name}: {found.median:.3g} s")
    return found


def _selecting(rows: int, classes: int) -> Callable[[], object]:
    """Return what makes scores of a teacher's answers, draws the probe and selects."""
    draw, recipe = np.random.default_rng(0), recipes.digits()
    logits_NK = 4 * draw.standard_normal((rows, classes), dtype=np.float32)
    features_ND = draw.standard_normal((rows, WIDTH), dtype=np.float32)

    def work() -> None:
        scores = scores_of(np.arange(rows, dtype=np.int64), logits_NK, features_ND)
        probe_P = draw_probe(scores).rows_P
        rows_taken(recipe.selection, recipe.dropping, scores, probe_P, 0)

    return work


def _searching(trials: int, folder: Path) -> Callable[[], object]:
    """Return what asks for trials, notes their ends and writes the page."""
    sweep, storage = Sweep(space="search_spaces.digits", trials=trials), FolderStorage(folder)
    context = TrialContext(
        space=sweep.search_space(),
        block=sweep.first_cell().block,
        run_context=_run_context([sweep.first_cell()]),
        compute=Compute(storage=storage),
    )
    at = layout.sweep("made-up")

    def work() -> None:
        view, journal = storage.local(at / layout.OPTUNA_LOG), Journal(storage, at)
        search = SweepSearch(context, journal, view, SearchOptions(trials=trials))
        for number in range(trials):
            asked = search.suggest(str(number))
            assert asked is not None
            job = context.job(trial_in(asked))
            outcome = _written(job, storage)
            ended = {"probe": outcome.metrics["probe"], "state": "finished", "time_total_s": 1.0}
            last = {f"point/{name}": value for name, value in outcome.points[-1].items()}
            search.on_trial_complete(str(number), ended | last)
        write_report(read(storage, "made-up"), storage)

    return work


def _studying(blocks: int, folder: Path) -> Callable[[], object]:
    """Return what runs a study of five variants, its cells made up, to its page and MLflow."""
    study = replace(components, blocks=blocks)
    where = Compute(storage=FolderStorage(folder))
    return partial(
        run_study, "made_up", study, where, Console(quiet=True), open_executor=_made_up_cells
    )


COSTS: dict[str, Callable[[int, Path], Callable[[], object]]] = {
    "rows": lambda rows, folder: _selecting(rows, classes=10),
    "classes": lambda classes, folder: _selecting(20_000, classes),
    "trials": _searching,
    "blocks": _studying,
}


@dataclass(frozen=True)
class MadeUpCells:
    """An `Executor` that trains nothing: a cell's curve follows from its name."""

    storage: Storage
    run_context: RunContext

    def compute(
        self, title: str, jobs: Iterable[Job], on_outcome: OnOutcome
    ) -> tuple[dict[str, Outcome], list[Failure]]:
        done = dict[str, Outcome]()
        for job in jobs:
            done[job.name] = replace(_written(job, self.storage), fresh=True)
            on_outcome(done[job.name])
        return done, []

    def inputs(self, cell: Cell) -> MappedInputs:
        raise NotImplementedError

    def groups(self) -> Sequence[Group]:
        return ()

    def apart(self, storage: Storage) -> MadeUpCells:
        return replace(self, storage=storage)


@contextmanager
def _made_up_cells(
    cells: Iterable[Cell], compute: Compute, console: Console
) -> Iterator[MadeUpCells]:
    yield MadeUpCells(compute.storage, _run_context(cells))


def _run_context(cells: Iterable[Cell]) -> RunContext:
    digests = {inputs_key(cell): ("teacher", "pool") for cell in cells}
    return RunContext(environment=this_environment("cpu"), digests=digests)


def _written(job: Job, storage: Storage) -> Outcome:
    """Return the outcome of a job that was never computed, and keep it in the ledger."""
    level = 0.6 + 0.3 * int(job.name[:6], 16) / 0xFFFFFF
    schedule = job.cell.experiment.schedule
    points = [
        {"step": float(step), "probe": level * step / schedule.steps, "train.kd": 1.0}
        for step in np.linspace(0, schedule.steps, schedule.evaluations + 1)[1:].round()
    ]
    ledger = Ledger(storage)
    network = job.cell.experiment.student.build(10, 1)
    ledger.write(outcome_of(job, "finished", points, 1.0), network.state_dict())
    if job.read_test:
        ledger.write_test(job.name, level)
    kept = ledger.read(job.name)
    assert kept is not None
    return kept
