"""The search of one variant of a study: its trials, and the setting that is chosen among them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dfkd.execution.compute import Compute
from dfkd.execution.executor import Executor
from dfkd.execution.reuse import known_run_context
from dfkd.experiment import Cell, Experiment
from dfkd.identity import Scalar, digest
from dfkd.reporting.console import Console
from dfkd.seeding import Block
from dfkd.storage import Storage, layout
from dfkd.storage.layout import Key
from dfkd.storage.lease import alone
from dfkd.storage.outcome import Outcome
from dfkd.studies.study import Study
from dfkd.sweeps.choosing import CANDIDATES, choose
from dfkd.sweeps.context import TrialContext
from dfkd.sweeps.journal import Journal
from dfkd.sweeps.options import BATCH, SearchOptions
from dfkd.sweeps.search_space import SearchSpace, default_in
from dfkd.sweeps.searching import is_changed, search_trials
from dfkd.sweeps.sweep import SEARCH, source_of
from dfkd.sweeps.trial import Trial, best_first
from dfkd.sweeps.variants import Change, without_effect
from dfkd.training.inputs import inputs_key
from dfkd.training.jobs import RunContext
from dfkd.user_modules import load

CHOICE_BLOCKS = 3


@dataclass(frozen=True, kw_only=True)
class Retuning:
    """A search for each variant of a study.

    space: name of a module whose `default` is one of the study's variants. trials: of each variant.
    seed: of the sampler.
    """

    space: str
    trials: int = 24
    seed: int = 0

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise ValueError(f"a variant needs 1 trial or more, but got trials={self.trials}")

    @property
    def most_cells(self) -> int:
        """Return how many cells a variant takes at most; a trial that is pruned is part of one."""
        return self.trials + CANDIDATES * CHOICE_BLOCKS

    def default(self, study: Study) -> Experiment:
        """Return the recipe that the space searches around.

        Raises ValueError where the study has no such variant.
        """
        default = default_in(self.space)
        if all(default.diff(variant) for variant in study.variants.values()):
            differing = default.diff(study.variants[study.baseline])
            raise ValueError(
                f"no variant of the study is the recipe that {self.space} searches around (it "
                f"differs from the baseline in {', '.join(list(differing)[:4])}): name a module "
                "with `space` and `default` of this recipe with --space"
            )
        return default


@dataclass(frozen=True, kw_only=True)
class VariantSearch:
    """The search of one variant, in a folder that all studies share which have the variant.

    label: the variant's name in this study. fixed: parameters that have no effect on the variant.
    """

    retuning: Retuning
    label: str
    variant: Experiment
    default: Experiment
    change: Change
    fixed: Mapping[str, Scalar]
    is_free: bool  # whether any parameter has an effect

    @property
    def cell(self) -> Cell:
        """Return the variant on the block on which all trials are computed."""
        return Cell(experiment=self.variant, block=Block(seed=SEARCH))

    def identity(self) -> str:
        """Return a digest of all that the search depends on but the number of trials."""
        recipes = [self.default.fingerprint(), self.variant.fingerprint()]
        return digest([source_of(self.retuning.space), *recipes, self.retuning.seed])

    def folder(self) -> Key:
        """Return where the journal and the results of the search lie."""
        return layout.retuning(self.identity())

    def result(self) -> Key:
        """Return where the choice among so many trials lies."""
        return self.folder() / layout.retuning_result(self.retuning.trials)

    def context(self, run_context: RunContext, compute: Compute) -> TrialContext:
        """Return what its trials share."""
        return TrialContext(
            space=self.space(), block=self.cell.block, run_context=run_context, compute=compute
        )

    def space(self) -> SearchSpace:
        """Return the variant's space."""
        return SearchSpace(module=self.retuning.space, change=self.change, fixed=self.fixed)

    def begun(self, storage: Storage) -> list[Experiment]:
        """Return the variant, and its settings in all trials that an earlier call has begun."""
        trials = Journal(storage, self.folder()).read()
        return [self.variant, *self.space().recorded(trials)]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The setting that a search has chosen for its variant. saved: the content of its file."""

    experiment: Experiment
    saved: Mapping[str, Any]


def search_of(
    retuning: Retuning, label: str, variant: Experiment, default: Experiment
) -> VariantSearch:
    """Return the search of a variant: what of the space has an effect on it is searched."""
    change = Change.of(variant, default)
    space = load(retuning.space, "space", "search_spaces")
    fixed, is_free = without_effect(space, default.params(), change)
    return VariantSearch(
        retuning=retuning,
        label=label,
        variant=variant,
        default=default,
        change=change,
        fixed=fixed,
        is_free=is_free,
    )


def kept_choice(search: VariantSearch, compute: Compute) -> Choice | None:
    """Return what an earlier call has chosen, None where it has to be searched again.

    It has to where PyTorch has another version now, or where the space makes other cells of the
    parameters of any trial: old probes must not choose among new cells.
    """
    if not compute.storage.exists(search.result()):
        return None
    saved = compute.storage.read_json(search.result())
    run_context = known_run_context(saved["setting"], [inputs_key(search.cell)], compute)
    if run_context is None:
        return None
    context = search.context(run_context, compute)
    if any(is_changed(Trial(**record), context) for record in saved["trials"]):
        return None
    return Choice(experiment=context.made_of(_chosen(saved)), saved=saved)


def _chosen(saved: Mapping[str, Any]) -> Trial:
    """Return the trial that was chosen; older files have its parameters only."""
    trials = (Trial(**record) for record in saved["trials"])
    return next(
        (trial for trial in trials if trial.number == saved.get("chosen_trial")),
        Trial(number=0, params=saved["chosen"], cell="", state="finished"),
    )


def run_search(
    search: VariantSearch, executor: Executor, compute: Compute, console: Console
) -> Choice:
    """Search the variant's best setting, keep it and return it; finished cells are not repeated.

    Raises ValueError while another process does the same.
    """
    lease = compute.storage.lease(search.folder() / layout.LEASE)
    with alone(lease, f"the retuning of {search.label}", console.warn):
        return _searched(search, executor, compute, console)


def _searched(
    search: VariantSearch, executor: Executor, compute: Compute, console: Console
) -> Choice:
    context = search.context(executor.run_context, compute)
    asked = search.retuning.trials if search.is_free else 1
    trials = search_trials(
        context,
        search.folder(),
        executor.inputs(search.cell),
        console,
        SearchOptions(trials=asked, seed=search.retuning.seed, batch=BATCH),
        groups=executor.groups,
        evaluations=search.variant.schedule.evaluations,
        title=f"tune {search.label}",
    )
    cells = {trial.cell: ["trial", f"trial {trial.number}"] for trial in trials}

    def note(outcome: Outcome, trial: Trial) -> None:
        cells.setdefault(outcome.cell, ["candidate", f"candidate {outcome.block['seed']}"])

    chosen, best = trials[0], best_first(trials)  # the first has the recipe's own settings
    if not best:
        console.warn(f"no trial of {search.label} came to its end: it stays as it is")
    elif len(best) == 1:
        chosen = best[0]
    else:
        winner = choose(best, context, executor.compute, CHOICE_BLOCKS, note).fingerprint()
        chosen = next(t for t in best if context.made_of(t).fingerprint() == winner)
    saved = {
        "variant": search.label,
        "setting": executor.run_context.saved(),
        "chosen": chosen.params,
        "chosen_trial": chosen.number,
        "cells": cells,
        "trials": [trial.record() for trial in trials],
    }
    compute.storage.write_json(search.result(), saved)
    saved = compute.storage.read_json(search.result())  # as later calls will read it
    return Choice(experiment=context.made_of(chosen), saved=saved)
