"""Choosing and confirming: the best few trials again, then the winner against the default.

Both work on blocks of their own, which share nothing with the search's. Only the confirmation
reads the test set.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from dfkd.execution.executor import ComputeCells, Failure, OnOutcome, compute_all
from dfkd.experiment import Cell, Experiment
from dfkd.reporting.shell import option
from dfkd.seeding import Block
from dfkd.storage import layout
from dfkd.storage.ledger import Ledger
from dfkd.storage.outcome import Outcome
from dfkd.sweeps.context import TrialContext
from dfkd.sweeps.findings import Confirmation
from dfkd.sweeps.sweep import CHOICE, CONFIRMATION
from dfkd.sweeps.trial import Trial, cost
from dfkd.training.jobs import Job, RunContext, look_up
from dfkd.training.measures import judged
from dfkd.user_modules import fault_in

CANDIDATES = 3
WINNER, DEFAULT = SIDES = ("winner", "default")  # where the default won, its cells are DEFAULT's


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """The winner, one of its confirmed students, and how it compares with the default."""

    experiment: Experiment
    student: Outcome  # nothing was chosen on its block
    confirmation: Confirmation


def nothing_to_choose(name: str, trials: Sequence[Trial], ledger: Ledger) -> str:
    """Return why a sweep has no winner, with the first cause where trials failed."""
    counts = ", ".join(f"{n} {state}" for state, n in Counter(t.state for t in trials).items())
    said = f"no trial finished ({counts}), so there is nothing to choose from"
    failed = [t for t in trials if t.state == "errored"]
    if not failed:
        return f"{said}: the journal is {layout.sweep(name) / layout.TRIALS}"
    cell = failed[0].cell
    return (
        f"{said}. The first failure: {fault_in(ledger.error(cell) or '')} (its log:  python -m "
        f"platform.show {cell} {option('storage', ledger.storage)}). The same command "
        "tries again"
    )


def choose(
    best: Sequence[Trial],
    context: TrialContext,
    compute: ComputeCells,
    blocks: int,
    on_outcome: Callable[[Outcome, Trial], None],
) -> Experiment:
    """Compute the best few distinct trials on fresh blocks and return the one that is best there.

    best: trials that finished, the best first. on_outcome: called with each outcome and its trial.
    The best of many carries the luck of its block. Where trials have costs, the cheapest is taken
    that is within a standard error of the best (the rule of one standard error, Breiman et al.,
    Classification and Regression Trees, 1984).
    """
    distinct: dict[str, Trial] = {}
    for trial in best:
        distinct.setdefault(trial.cell, trial)
    few = list(distinct.values())[:CANDIDATES]
    candidates = [context.made_of(trial) for trial in few]
    fresh = [Block(seed=CHOICE + i) for i in range(blocks)]
    jobs = [
        _jobs(candidate, fresh, context.run_context, False, f"trial {trial.number}")
        for trial, candidate in zip(few, candidates, strict=True)
    ]
    title = f"best {len(few)} on fresh blocks"
    trial_of = {job.name: trial for trial, row in zip(few, jobs, strict=True) for job in row}
    outcomes = compute_all(
        compute,
        title,
        [job for row in jobs for job in row],
        lambda outcome: on_outcome(outcome, trial_of[outcome.cell]),
    )
    probes = [
        [judged(outcomes[job.name].metrics, trial.measure) for job in row]
        for trial, row in zip(few, jobs, strict=True)
    ]
    return candidates[_place_of_choice(probes, [cost(t) if t.costs else None for t in few])]


def _place_of_choice(probes: Sequence[Sequence[float]], costs: Sequence[float | None]) -> int:
    """Return which candidate is taken. probes: of each, on the blocks. costs: None for none."""
    means = [float(np.mean(row)) for row in probes]
    best = int(np.argmax(means))
    blocks = len(probes[best])
    error = float(np.std(probes[best], ddof=1)) / math.sqrt(blocks) if blocks > 1 else 0.0
    near = [i for i, mean in enumerate(means) if mean >= means[best] - error]
    return min(near, key=lambda i: (costs[i] or 0.0, -means[i]))


def confirm(
    winner: Experiment,
    default: Experiment,
    run_context: RunContext,
    compute: ComputeCells,
    blocks: int,
    on_outcome: Callable[[Outcome, str], None],
) -> Confirmed:
    """Compute winner and default on blocks on which nothing was chosen, and read the test set.

    on_outcome: called with each outcome and its side, one of SIDES. The default against itself is
    not computed twice.
    """
    fresh = [Block(seed=CONFIRMATION + i) for i in range(blocks)]
    experiments = dict(zip(SIDES, (winner, default), strict=True))
    sides = [_jobs(e, fresh, run_context, True, side) for side, e in experiments.items()]
    jobs = [job for side in sides for job in side]
    side_of = {job.name: side for side, row in zip(SIDES, sides, strict=True) for job in row}
    outcomes = compute_all(
        compute,
        "winner against default",
        jobs,
        lambda outcome: on_outcome(outcome, side_of[outcome.cell]),
    )
    mine, others = (tuple(outcomes[job.name].metrics["test"] for job in side) for side in sides)
    changes = {name: here for name, (here, _) in winner.diff(default).items() if here is not None}
    return Confirmed(
        experiment=winner,
        student=outcomes[sides[0][0].name],
        confirmation=Confirmation(winner=changes, winner_test=mine, default_test=others),
    )


def noting(compute: ComputeCells, names: set[str]) -> ComputeCells:
    """Return a function that computes as `compute` does, and adds the cells' names to `names`."""

    def noted(
        title: str, jobs: Iterable[Job], on_outcome: OnOutcome
    ) -> tuple[dict[str, Outcome], list[Failure]]:
        listed = list(jobs)
        names.update(job.name for job in listed)
        return compute(title, listed, on_outcome)

    return noted


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


def _jobs(
    experiment: Experiment,
    blocks: Iterable[Block],
    run_context: RunContext,
    read_test: bool,
    called: str,
) -> list[Job]:
    cells = [Cell(experiment=experiment, block=block) for block in blocks]
    return [run_context.job(cell, read_test, f"{called}, block {cell.block}") for cell in cells]
