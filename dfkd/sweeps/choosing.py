"""Searching and choosing: the trials of one search, then the best few again on blocks that nothing
was chosen on.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dfkd.execution.executor import ComputeCells, Failure, OnOutcome, compute_all
from dfkd.experiment import Cell, Experiment
from dfkd.reporting.console import Console
from dfkd.seeding import Block
from dfkd.storage import layout
from dfkd.storage.ledger import Ledger, Outcome
from dfkd.sweeps.search import Journal, SweepSearch, TrialRecord
from dfkd.sweeps.trials import TrialContext
from dfkd.sweeps.tuning import BATCH, OnEnd, tune_trials
from dfkd.training.cells import Job, look_up
from dfkd.training.inputs import MappedInputs
from dfkd.user_modules import load

SEARCH, CHOICE = 1000, 2000  # first seeds; those below 1000 are the studies'
CANDIDATES = 3


def read_cells(ledger: Ledger) -> ComputeCells:
    """Return a function that computes nothing: it reads the cells of finished work.

    It raises LookupError for a cell that is no longer in the ledger.
    """

    def read(
        title: str, jobs: Iterable[Job], on_outcome: OnOutcome
    ) -> tuple[dict[str, Outcome], list[Failure]]:
        done: dict[str, Outcome] = {}
        for job in jobs:
            outcome = look_up(job, ledger)
            if outcome is None:
                raise LookupError(f"the cell {job.name} is no longer in the ledger")
            done[job.name] = outcome
        for outcome in done.values():
            on_outcome(outcome)
        return done, []

    return read


def source_of(space: str) -> str:
    """What a space says, for its identity. Comments are not part of it."""
    load(space, "space", "search_spaces")
    return ast.dump(ast.parse(inspect.getsource(sys.modules[space])))


def search_trials(
    context: TrialContext,
    folder: Path,
    mapped: MappedInputs,
    console: Console,
    *,
    trials: int,
    seed: int,
    deterministic: bool,
    evaluations: int,
    title: str = "search",
) -> list[TrialRecord]:
    """The journal below `folder` once it holds so many trials. A deterministic search is replayed
    from its start.
    """
    journal, batch = Journal(folder / layout.TRIALS), BATCH if deterministic else None
    if batch:
        journal.clear()
    search = SweepSearch(
        context, journal, folder / layout.OPTUNA_LOG, seed=seed, total=trials, batch=batch
    )
    left = trials - sum(record.ended for record in journal.read())
    if left > 0:
        best = 0.0

        def note(result: dict[str, Any] | None) -> None:
            nonlocal best
            best = max(best, result["probe"] if result else 0.0)
            advance(1, f"best probe {best:.3f}")

        with console.progress(title, left, "trials") as advance:
            tune_trials(search, left, evaluations, mapped, context.compute, OnEnd(note))
    return journal.read()


def finished(records: Sequence[TrialRecord], journal: Path) -> list[TrialRecord]:
    """Those that came to their end, the best first. ValueError where none did."""
    ended = sorted((r for r in records if r.state == "finished"), key=lambda r: -(r.value or 0))
    if not ended:
        raise ValueError(
            f"no trial finished, so there is nothing to choose from: the journal is {journal}"
        )
    return ended


def choose(
    best: Sequence[TrialRecord],
    context: TrialContext,
    compute: ComputeCells,
    blocks: int,
    on_outcome: OnOutcome,
) -> Experiment:
    """Of the best few, distinct ones, again on fresh blocks: the best of many carries the luck of
    its block.
    """
    distinct = {record.cell: record for record in reversed(best)}
    few = sorted(distinct.values(), key=lambda r: -(r.value or 0))[:CANDIDATES]
    candidates = [context.experiment(record.params) for record in few]
    fresh = [Block(seed=CHOICE + i) for i in range(blocks)]
    jobs = {
        (i, b): context.run_context.job(Cell(experiment=e, block=b), False)
        for i, e in enumerate(candidates)
        for b in fresh
    }
    outcomes = compute_all(compute, f"best {len(few)} on fresh blocks", jobs.values(), on_outcome)
    means = [
        np.mean([outcomes[jobs[i, b].name].metrics["probe"] for b in fresh])
        for i in range(len(candidates))
    ]
    return candidates[int(np.argmax(means))]
