"""What a study would cost and could find, before anything is computed: ablate --dry-run."""

from __future__ import annotations

import json
import os
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dfkd.execution.compute import Compute
from dfkd.execution.reuse import known_run_context
from dfkd.experiment import Experiment
from dfkd.stats.outcomes import by_block, paired_with
from dfkd.stats.paired import smallest_detectable
from dfkd.storage.ledger import Ledger
from dfkd.studies import Study
from dfkd.studies.computing import device_hours
from dfkd.studies.plan import kept_run_context
from dfkd.studies.reading import data_of, is_complete
from dfkd.studies.record import StudyRecord
from dfkd.training.environment import Environment
from dfkd.training.inputs import inputs_key
from dfkd.training.jobs import Job, RunContext, look_up
from dfkd.training.prepared import prepared

if TYPE_CHECKING:
    from dfkd.studies.variant_search import Retuning

POWER = 0.8


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a study would cost and could find. None: there is nothing to judge by yet.

    detectable: the smallest true difference that is found with POWER, in accuracy; in sd where
    sd is None. hours: device hours.
    """

    cells: int
    done: int
    prepared: bool  # teacher and pool are known, so that finished cells can be recognised
    seconds: float | None  # of computing, over all missing cells
    side_by_side: int
    hours: float | None
    sd: float | None  # of a paired difference, in accuracy
    sd_from: str
    detectable: float
    blocks: int
    comparisons: int
    searches: int = 0  # still to be done, before the cells
    searched: int = 0  # cells of these, at most


def forecast(
    name: str,
    study: Study,
    compute: Compute,
    sd: float | None = None,
    retuning: Retuning | None = None,
) -> Forecast:
    """Forecast a study by the cells that are finished.

    sd: of the paired differences, in accuracy; None: what finished cells of this study have
    shown. retuning: the searches that come first; once all are done, the forecast is of the
    tuned study.
    """
    searches: list[str] = []
    if retuning is not None:
        from dfkd.studies.retuning import retuned_so_far  # Optuna takes seconds to import

        searches, study = retuned_so_far(study, retuning, compute)
    known = known_cells(name, study, compute)
    each = retuning.most_cells if retuning else 0
    left = [at[0] for at in study.cells() if at not in known.done] + each * searches
    environment = known.run_context.environment if known.run_context else None
    seconds = seconds_of([study.variants[name] for name in left], compute, environment)
    seen = _sd(name, study, known.jobs, Ledger(compute.storage)) if sd is None else sd
    comparisons = len(study.variants) - 1
    return Forecast(
        cells=len(study.cells()),
        done=len(known.done),
        prepared=known.run_context is not None,
        seconds=seconds,
        side_by_side=side_by_side(compute),
        hours=None if seconds is None else device_hours(seconds, compute),
        sd=seen,
        sd_from="stated" if sd is not None else "seen so far",
        detectable=smallest_detectable(
            study.blocks, 1.0 if seen is None else seen, comparisons=max(comparisons, 1)
        ),
        blocks=study.blocks,
        comparisons=comparisons,
        searches=len(searches),
        searched=each * len(searches),
    )


@dataclass(frozen=True, kw_only=True)
class KnownCells:
    """The cells of a study by (variant, block), as far as the ledger alone can name them.

    run_context: None where teacher and pool are not known, and so no cell can be named.
    """

    run_context: RunContext | None
    jobs: dict[tuple[str, int], Job]
    done: set[tuple[str, int]]


def known_cells(name: str, study: Study, compute: Compute) -> KnownCells:
    """Return which cells of a study the storage has, whoever computed them."""
    run_context, jobs = _run_context(name, study, compute), dict[tuple[str, int], Job]()
    if run_context is not None:
        jobs = {at: run_context.job(c, read_test=True) for at, c in study.cells().items()}
    ledger = Ledger(compute.storage)
    done = {at for at, job in jobs.items() if _done(ledger, job)}
    return KnownCells(run_context=run_context, jobs=jobs, done=done)


def _run_context(name: str, study: Study, compute: Compute) -> RunContext | None:
    """Return the run context of the study, else one of its teacher and pool as they lie there.

    That is in the environment that `compute` would give and most recorded cells are from.
    """
    inputs = {inputs_key(cell): cell for cell in study.cells().values()}
    own = kept_run_context(name, compute, inputs)
    if own is not None and _fits(own.environment, compute):
        return own
    notes = {key: prepared(cell, compute.storage) for key, cell in inputs.items()}
    digests = {key: (note.teacher, note.pool) for key, note in notes.items() if note is not None}
    records = Ledger(compute.storage).records()
    there = Counter(Environment(**record["environment"]) for record in records)
    for environment, _ in there.most_common():
        saved = RunContext(environment=environment, digests=digests).saved()
        found = known_run_context(saved, inputs, compute)
        if found is not None and _fits(environment, compute):
            return found
    return None


def _fits(environment: Environment, compute: Compute) -> bool:
    on_cpu = environment.device.startswith("cpu") == (compute.gpus == 0)
    return on_cpu and (environment.workers, environment.threads) == (compute.workers, compute.cpus)


def _done(ledger: Ledger, job: Job) -> bool:
    outcome = look_up(job, ledger)
    return outcome is not None and is_complete(outcome)


def seconds_of(
    experiments: Iterable[Experiment], compute: Compute, environment: Environment | None = None
) -> float | None:
    """Return the seconds of these cells together, None without anything to go by.

    They are medians over finished cells of the same recipe, else over those that train as long
    and as much. environment: that cells have to be from; None: any that `compute` may give.
    """
    same: dict[str, list[float]] = defaultdict(list)
    alike: dict[str, list[float]] = defaultdict(list)
    for record in Ledger(compute.storage).records():
        there = Environment(**record["environment"])
        is_alike = _fits(there, compute) if environment is None else there == environment
        if record["state"] != "finished" or not is_alike:
            continue
        same[_text(record["params"])].append(record["seconds"])
        alike[_text(_size(record["params"]))].append(record["seconds"])
    total = 0.0
    for experiment in experiments:
        params = experiment.params()
        times = same.get(_text(params)) or alike.get(_text(_size(params)))
        if not times:
            return None
        total += statistics.median(times)
    return total


def _size(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters on which the time of a cell depends most."""
    return {
        name: value
        for name, value in params.items()
        if name.split(".")[0] in ("task", "student", "schedule")
    }


def _text(params: Mapping[str, Any]) -> str:
    return json.dumps({name: str(value) for name, value in params.items()}, sort_keys=True)


def _sd(name: str, study: Study, jobs: dict[tuple[str, int], Job], ledger: Ledger) -> float | None:
    """Return the sd of the paired differences, pooled over the comparisons.

    None where two blocks of no variant are done.
    """
    if not jobs:
        return None
    record = StudyRecord.of(name, study, {at: job.name for at, job in jobs.items()}, None)
    cells = data_of(record, ledger.read).cells
    if not (cells["variant"] == study.baseline).any():
        return None
    pairs = [pair for pair in paired_with(by_block(cells), study.baseline) if len(pair) > 1]
    variances = [float((pair.iloc[:, 0] - pair.iloc[:, 1]).var()) for pair in pairs]
    return float(np.sqrt(np.mean(variances))) if variances and max(variances) > 0 else None


def side_by_side(compute: Compute) -> int:
    """Return how many cells run at a time: what was asked for, else what these cores hold.

    A cluster is not asked.
    """
    fits = (os.cpu_count() or 1) // (compute.workers * compute.cpus) if not compute.gpus else 1
    return max(1, min(fits, compute.concurrency) if compute.concurrency else fits)
