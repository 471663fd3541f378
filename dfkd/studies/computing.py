"""Computes the cells that a study misses, and checks a cell that other work has computed."""

import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dfkd.execution.compute import Compute
from dfkd.execution.executor import Executor, OnOutcome
from dfkd.reporting.console import Console
from dfkd.storage import Storage, layout
from dfkd.storage.outcome import Outcome
from dfkd.studies.plan import StudyPlan, first_block, next_jobs
from dfkd.studies.reading import is_reused
from dfkd.studies.record import Check


@dataclass(frozen=True, kw_only=True)
class Computed:
    """What there is of a study after a call.

    plan: with the cells that failed. done: outcomes by cell, those of earlier calls included.
    stopped: why the call ended before all was computed, "" if it did not.
    """

    plan: StudyPlan
    done: Mapping[str, Outcome]
    stopped: str = ""


def compute_missing(
    plan: StudyPlan,
    known: Mapping[str, Outcome],
    executor: Executor,
    compute: Compute,
    max_device_hours: float | None,
    console: Console,
    on_outcome: OnOutcome,
) -> Computed:
    """Compute until nothing is missing any more, or a further block would take too many hours.

    known: outcomes that are there already, by cell. A race goes on from look to look.
    """
    done = dict(known)

    def note(outcome: Outcome) -> None:
        done[outcome.cell] = outcome
        on_outcome(outcome)

    while jobs := next_jobs(plan, done):
        if max_device_hours is not None:
            jobs = first_block(jobs)
            spent = [outcome.seconds for outcome in done.values() if outcome.fresh]
            hours = _hours_with(len(jobs), spent, known, compute)
            if hours > max_device_hours:
                stopped = (
                    f"stopped by --max-device-hours {max_device_hours:g}: another block would make "
                    f"it {hours:.2g}"
                )
                return Computed(plan=plan, done=done, stopped=stopped)
        if plan.record.looks is not None:
            blocks = len({job.cell.block for job in jobs})
            console.line(f"race: {len(jobs)} cells in {blocks} blocks before the next look")
        _, failures = executor.compute(f"study {plan.name}", jobs, note)
        plan = plan.with_errors(failures)
    return Computed(plan=plan, done=done)


def _hours_with(
    cells: int, spent: Sequence[float], known: Mapping[str, Outcome], compute: Compute
) -> float:
    """Return the device hours of this call once so many more cells are computed."""
    each = statistics.fmean(spent or [outcome.seconds for outcome in known.values()] or [0.0])
    return device_hours(sum(spent) + cells * each, compute)


def device_hours(seconds: float, compute: Compute) -> float:
    """Return GPU hours where a cell has GPUs, else CPU hours, of so many seconds of cells."""
    return seconds * compute.workers * (compute.gpus or compute.cpus) / 3600


def check_reused(
    plan: StudyPlan,
    known: Mapping[str, Outcome],
    executor: Executor,
    storage: Storage,
    console: Console,
) -> Check | None:
    """Compute one reused cell again, in a ledger of its own: it has to give the same bits.

    Returns None where no cell is reused, or where it failed.
    """
    reused = sorted(name for name, o in known.items() if is_reused(o, plan.name))
    if not reused:
        return None
    cell = random.Random(plan.name).choice(reused)
    apart = layout.study(plan.name) / layout.CHECK
    again_on = executor.apart(storage.below(apart))
    try:
        done, _ = again_on.compute("one reused cell again", [plan.jobs[cell]], lambda outcome: None)
    finally:
        storage.delete(apart)
    if cell not in done:
        return None
    again, before = done[cell], known[cell]
    equal = again.metrics == before.metrics and again.points == before.points
    check = Check(cell=cell, equal=equal)
    (console.line if equal else console.warn)(check.line())
    return check
