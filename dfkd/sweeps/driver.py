"""The sweep: search by the probe, choose among the best, confirm the winner, report, tell MLflow.

Three sets of blocks that share nothing: the search's, those on which the winner is chosen (both
label-free), and those on which it is compared with the default, the only ones that read the test
set.
"""

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import cache, partial
from importlib import import_module
from threading import Thread

from dfkd.execution.compute import Compute
from dfkd.execution.executor import ComputeCells, Executor, OpenExecutor
from dfkd.execution.ray_executor import ray_executor
from dfkd.execution.reuse import known_run_context
from dfkd.reporting.console import Console
from dfkd.seeding import Block
from dfkd.storage import layout
from dfkd.storage.lease import alone
from dfkd.storage.ledger import Ledger
from dfkd.storage.notes import annotate
from dfkd.storage.outcome import Outcome
from dfkd.sweeps import record
from dfkd.sweeps.choosing import (
    DEFAULT,
    WINNER,
    Confirmed,
    choose,
    confirm,
    nothing_to_choose,
    noting,
    read_cells,
)
from dfkd.sweeps.context import TrialContext
from dfkd.sweeps.findings import SweepData
from dfkd.sweeps.journal import Journal
from dfkd.sweeps.page import write_report
from dfkd.sweeps.rehearsal import rehearse
from dfkd.sweeps.searching import is_changed, search_trials
from dfkd.sweeps.sweep import SEARCH, Sweep
from dfkd.sweeps.sync import (
    sync_of,
    tell,
    told_of,
    track_candidate,
    track_confirmation,
    track_trials,
)
from dfkd.sweeps.trial import Trial, best_first, front
from dfkd.tracking import RunSync, check_model_name
from dfkd.training.inputs import check, inputs_key
from dfkd.training.jobs import RunContext
from dfkd.training.provenance import require_same_code


def run_sweep(
    sweep: Sweep,
    compute: Compute,
    console: Console,
    open_executor: OpenExecutor = ray_executor,
    register: str | None = None,
    note: str | None = None,
    tags: Sequence[str] = (),
) -> SweepData:
    """Run the whole sweep, or what is left of it, and return what it found.

    register: the name under which MLflow's model registry gets the winner's student. note, tags: as
    for `storage.notes.annotate`. Raises ValueError with one line for input that cannot work, before
    anything is computed.
    """
    name, storage = sweep.name(), compute.storage
    begun = sweep.search_space().recorded(Journal(storage, layout.sweep(name)).read())
    require_same_code(
        [sweep.default(), *begun], Ledger(storage), compute.accept_changed_code, console.line
    )
    if register is not None:
        check_model_name(register)
    annotate(storage, layout.sweep(name), note, tags)
    sync = sync_of(sweep, name, compute, console, register)
    with closing(sync.tracker):
        known = _known_context(sweep, compute)
        if known is not None:
            console.line(
                f"all {sweep.trials} trials of the sweep {name} and its confirmation are done "
                "already"
            )
            data = _tell_again(sweep, known, sync, console)
        else:
            data = _checked_and_run(sweep, compute, open_executor, sync, console)
    for line in sync.registered():
        console.line(line)
    call = (sweep.trials, sweep.confirmation_blocks)
    of_this_call = data.confirmation and call == (
        len(data.trials),
        len(data.confirmation.default_test),
    )
    return data if of_this_call else record.read(storage, name, call)


def _checked_and_run(
    sweep: Sweep, compute: Compute, open_executor: OpenExecutor, sync: RunSync, console: Console
) -> SweepData:
    """Do what is left, once it is known that the space, the teacher and the pool can serve."""
    first, name = sweep.first_cell(), sweep.name()
    rehearse(sweep.search_space().ask, first)
    check(first, compute.storage, read_test=True)
    lease = compute.storage.lease(layout.sweep(name) / layout.LEASE)
    sync.tracker.warm_up()
    with (
        open_executor([first], compute, console) as executor,
        alone(lease, f"the sweep {name}", console.warn),
    ):
        return _search_and_confirm(sweep, compute, executor, sync, console)


def _search_and_confirm(
    sweep: Sweep, compute: Compute, executor: Executor, sync: RunSync, console: Console
) -> SweepData:
    """Do what is left, with the inputs prepared."""
    started, name = time.monotonic(), sweep.name()
    context = _context(sweep, compute, executor.run_context)
    sync.open()
    trials = search_trials(
        context,
        layout.sweep(name),
        executor.inputs(sweep.first_cell()),
        console,
        sweep.options(),
        groups=executor.groups,
        evaluations=sweep.default().schedule.evaluations,
        run_id=sync.parent.run_id if sync.parent else "",
    )
    trials = _with_curves(trials, compute)
    cells = set[str]()
    compute_and_note = noting(executor.compute, cells)
    confirmed = _conclude(sweep, context, trials, compute_and_note, sync)
    record.write_result(
        compute.storage,
        name,
        trials,
        confirmed.confirmation,
        context.run_context,
        time.monotonic() - started,
        cells,
        sweep.command(),
    )
    data = record.read(compute.storage, name)
    files, _ = write_report(data, compute.storage, console.warn)
    tell(sync, data, files, trials, confirmed)
    return data


def _conclude(
    sweep: Sweep,
    context: TrialContext,
    trials: Sequence[Trial],
    compute: ComputeCells,
    sync: RunSync,
) -> Confirmed:
    """Choose a winner among the trials and confirm it, cell after cell told to MLflow."""
    name = sweep.name()
    best = best_first(trials) if sweep.minimise is None else front(trials)[::-1]
    if not best:
        raise ValueError(nothing_to_choose(name, trials, Ledger(context.compute.storage)))

    @cache
    def trials_told() -> None:
        track_trials(sync, name, trials, Ledger(context.compute.storage))

    def candidate(outcome: Outcome, trial: Trial) -> None:
        trials_told()  # not before: the workers have the cells of the choice to compute now
        track_candidate(sync, name, outcome, trial)

    winner = choose(best, context, compute, sweep.choice_blocks, candidate)
    trials_told()
    # for the page: scikit-learn takes seconds to import, and the workers are busy now
    Thread(target=import_module, args=("optuna.importance",)).start()
    trial_of = {context.made_of(t).fingerprint(): t for t in reversed(best)}
    sides = {WINNER: winner, DEFAULT: sweep.default()}
    numbers = {side: trial_of.get(e.fingerprint()) for side, e in sides.items()}
    confirmed = confirm(
        winner,
        sweep.default(),
        context.run_context,
        compute,
        sweep.confirmation_blocks,
        partial(track_confirmation, sync, name, numbers),
    )
    if not confirmed.confirmation.winner or (trial := numbers[WINNER]) is None:
        return confirmed
    numbered = replace(confirmed.confirmation, winner_trial=trial.number)
    return replace(confirmed, confirmation=numbered)


def _tell_again(sweep: Sweep, context: TrialContext, sync: RunSync, console: Console) -> SweepData:
    """Tell an MLflow that does not know all of a finished sweep, from the ledger alone."""
    compute, name = context.compute, sweep.name()
    data = record.read(compute.storage, name)
    files, _ = write_report(data, compute.storage, console.warn)
    if not sync.is_due(told_of(data, files)):
        return data
    call = (sweep.trials, sweep.confirmation_blocks)
    trials = record.read(compute.storage, name, call).trials
    sync.open()
    try:
        confirmed = _conclude(sweep, context, trials, read_cells(Ledger(compute.storage)), sync)
    except LookupError as error:
        console.warn(f"MLflow is not brought up to date: {error}")
        return data
    tell(sync, data, files, trials, confirmed)
    return data


def _known_context(sweep: Sweep, compute: Compute) -> TrialContext | None:
    """Return the context in which an earlier call did all of this sweep; None where none did.

    None as well where PyTorch has another version now, or the space makes other cells.
    """
    call = (sweep.trials, sweep.confirmation_blocks)
    saved = record.read_result(compute.storage, sweep.name(), *call)
    if saved is None:
        return None
    inputs = [inputs_key(sweep.first_cell())]
    run_context = known_run_context(saved["setting"], inputs, compute)
    if run_context is None:
        return None
    context = _context(sweep, compute, run_context)
    changed = any(is_changed(trial, context) for trial in record.trials_of(saved))
    return None if changed else context


def _context(sweep: Sweep, compute: Compute, run_context: RunContext) -> TrialContext:
    return TrialContext(
        space=sweep.search_space(),
        block=Block(seed=SEARCH),
        run_context=run_context,
        compute=compute,
    )


def _with_curves(trials: Sequence[Trial], compute: Compute) -> list[Trial]:
    ledger = Ledger(compute.storage)
    return [record.with_curve(trial, ledger.read(trial.cell)) for trial in trials]
