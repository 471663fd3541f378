"""Searching: the trials of one search, those of earlier calls included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dfkd.reporting.console import Console
from dfkd.storage import layout
from dfkd.storage.layout import Key
from dfkd.sweeps.context import TrialContext, same_cell
from dfkd.sweeps.journal import Journal
from dfkd.sweeps.options import SearchOptions
from dfkd.sweeps.trial import Trial
from dfkd.training.inputs import MappedInputs

if TYPE_CHECKING:
    from dfkd.execution.group import Group


AS_IT_IS = (
    "trial 0 is the default as it is: the space does not make it of its parameters (other names, "
    "other choices, or values outside their ranges), so the sampler does not see it"
)


def search_trials(
    context: TrialContext,
    folder: Key,
    mapped: MappedInputs,
    console: Console,
    options: SearchOptions,
    *,
    groups: Callable[[], Sequence[Group]],
    evaluations: int,
    title: str = "search",
    run_id: str = "",
) -> list[Trial]:
    """Search until the journal below `folder` holds as many trials as asked for, and return them.

    groups: starts those that trials on several workers share. run_id: of the sweep in MLflow, which
    Optuna's view names. A search in batches is replayed from its start: finished cells are read
    from the ledger. Raises ValueError with one line where the default's own code fails, and OSError
    where the storage cannot be written.
    """
    from dfkd.sweeps.search import SweepSearch  # Tune takes seconds to import
    from dfkd.sweeps.tuning import OnEnd, tune_trials

    storage = context.compute.storage
    journal = Journal(storage, folder)
    note_changes(journal, context, console)
    if options.batch:
        journal.clear()
    if not journal.read() and context.space.first_trial().is_default:
        console.line(AS_IT_IS)
    with storage.growing_file(folder / layout.OPTUNA_LOG) as view:
        search = SweepSearch(context, journal, view, options, say=console.warn, run_id=run_id)
        left = options.trials - sum(trial.ended for trial in journal.read())
        if left > 0:
            with console.progress(title, left, "trials") as advance:
                on_end = OnEnd(_best_probe(advance), context.compute, console.line)
                tune_trials(search, left, evaluations, mapped, context.compute, on_end, groups)
            if search.stopped is not None:
                raise search.stopped
    return journal.read()


def _best_probe(advance: Callable[..., None]) -> Callable[[dict[str, Any] | None], None]:
    """Return what moves the progress on by a trial, given its last result, and says the best."""
    best = 0.0

    def note(result: dict[str, Any] | None) -> None:
        nonlocal best
        best = max(best, result["probe"] if result else 0.0)
        advance(1, f"best probe {best:.3f}")

    return note


def note_changes(journal: Journal, context: TrialContext, console: Console) -> None:
    """Mark the trials of which the space makes other cells now, so that they are asked for again.

    A space's name is its own source: a module that it imports, the version of a piece, teacher and
    pool may change without it, and old probes must not choose among new cells.
    """
    known = journal.read()
    changed = [trial for trial in known if is_changed(trial, context)]
    for trial in changed:
        journal.write(_again(trial, context))
    if ended := sum(trial.ended for trial in changed):
        console.line(
            f"{ended} of {len(known)} trials are run again: the space makes other cells of their "
            "parameters now (what it imports, a piece's version, teacher or pool has changed)"
        )


def is_changed(trial: Trial, context: TrialContext) -> bool:
    """Return whether the space makes another cell of the trial's parameters than was recorded."""
    return not same_cell(context.cell_now(trial), trial.cell)


def _again(trial: Trial, context: TrialContext) -> Trial:
    """Return the trial as one that is still to be run, with the same number.

    Where the space no longer takes its parameters, others are drawn in their place.
    """
    cell = context.cell_now(trial)
    if cell is None and trial.number == 0:
        return context.space.first_trial()
    again = replace(trial, params={} if cell is None else trial.params, cell=cell or "")
    return replace(again, state="running", step=0, value=None)
