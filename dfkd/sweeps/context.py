"""What all trials of a search share, and how a trial's parameters become its cell."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import optuna

from dfkd.execution.compute import Compute
from dfkd.experiment import Cell, Experiment
from dfkd.identity import Scalar
from dfkd.seeding import Block
from dfkd.sweeps.findings import Trial
from dfkd.sweeps.rehearsal import first_trial
from dfkd.sweeps.spaces import SpaceTrial
from dfkd.sweeps.variants import Change
from dfkd.training.cells import Job, RunContext
from dfkd.user_modules import load, users_code


@dataclass(frozen=True, kw_only=True)
class TrialContext:
    """What all trials of a search share; a trial adds its parameters.

    space: module name. change: makes the variant that is searched; None for the recipe itself.
    fixed: parameters of the space that are not asked for.
    """

    space: str
    block: Block
    run_context: RunContext
    compute: Compute
    change: Change | None = None
    fixed: Mapping[str, Scalar] = field(default_factory=dict)

    def ask(self, trial: optuna.trial.BaseTrial) -> Experiment:
        """Return the experiment that the space makes of a trial."""
        return ask(self.space, trial, self.change, self.fixed)

    def default(self) -> Experiment:
        """Return the recipe, or the variant, that the space searches around."""
        return default_of(self.space, self.change)

    def first_trial(self) -> Trial:
        """Return the trial that is run first: the default, whether the space makes it or not."""
        return first_trial(self.ask, self.default(), default_of(self.space).params())

    def experiment(self, params: Mapping[str, Scalar]) -> Experiment:
        """Return the experiment of these parameters, equal in driver, worker and a later report.

        Raises ValueError where the space asks for a parameter that is not among them.
        """
        return self.ask(optuna.trial.FixedTrial(dict(params)))

    def made_of(self, trial: Trial) -> Experiment:
        """Return the experiment of a trial: the default itself, or what its parameters make."""
        return self.default() if trial.is_default else self.experiment(trial.params)

    def job(self, trial: Trial) -> Job:
        """Return the job of a trial. It never reads the test set."""
        cell = Cell(experiment=self.made_of(trial), block=self.block)
        return self.run_context.job(cell, read_test=False)

    def cell_now(self, trial: Trial) -> str | None:
        """Return the cell that the space makes of a trial's parameters now; "" where it prunes it.

        None where it cannot: it asks for other parameters than it did when they were drawn.
        """
        try:
            return self.job(trial).name
        except optuna.TrialPruned:
            return ""
        except ValueError:
            return None


def default_of(space: str, change: Change | None = None) -> Experiment:
    """Return the default in this module, changed to a variant."""
    default: Experiment = load(space, "default", "search_spaces")
    return default if change is None else change(default)


def ask(
    space: str,
    trial: Any,
    change: Change | None,
    fixed: Mapping[str, Scalar] = MappingProxyType({}),
) -> Experiment:
    """Return what the space in this module makes of a trial, changed to a variant.

    Raises ValueError where that is no experiment.
    """
    make = load(space, "space", "search_spaces")
    with users_code(passing=(optuna.TrialPruned,)):
        made = make(SpaceTrial(trial, fixed))
    if not isinstance(made, Experiment):
        raise ValueError(f"{space}.space(trial) must return an Experiment, but got {made!r}")
    return made if change is None else change(made)


def recorded_experiments(
    space: str,
    trials: Iterable[Trial],
    change: Change | None = None,
    fixed: Mapping[str, Scalar] = MappingProxyType({}),
) -> Iterator[Experiment]:
    """Yield what the space makes now of the parameters of each trial that was begun.

    A trial of which it makes nothing any more is left out. change, fixed: as in `TrialContext`.
    """
    for trial in trials:
        if trial.is_default:
            yield default_of(space, change)
            continue
        with contextlib.suppress(ValueError, optuna.TrialPruned):
            yield ask(space, optuna.trial.FixedTrial(dict(trial.params)), change, fixed)


def same_cell(one: str | None, other: str) -> bool:
    """Return whether two names mean the same cell, whatever it was computed on."""
    return one is not None and one.rpartition("-")[0] == other.rpartition("-")[0]
