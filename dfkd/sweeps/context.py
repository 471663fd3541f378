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
from dfkd.sweeps.variants import Change, Narrowed
from dfkd.training.cells import Job, RunContext
from dfkd.user_modules import load


@dataclass(frozen=True, kw_only=True)
class TrialContext:
    """What all trials of a search share; a trial adds its parameters.

    space: module name. default: the parameters that are tried first. change: makes the variant that
    is searched; None for the recipe itself. fixed: parameters of the space that are not asked for.
    """

    space: str
    default: dict[str, Any]
    block: Block
    run_context: RunContext
    compute: Compute
    change: Change | None = None
    fixed: Mapping[str, Scalar] = field(default_factory=dict)

    def ask(self, trial: optuna.trial.BaseTrial) -> Experiment:
        """Return the experiment that the space makes of a trial."""
        return ask(self.space, Narrowed(trial, self.fixed) if self.fixed else trial, self.change)

    def experiment(self, params: Mapping[str, Scalar]) -> Experiment:
        """Return the experiment of these parameters, equal in driver, worker and a later report.

        Raises ValueError where the space asks for a parameter that is not among them.
        """
        return self.ask(optuna.trial.FixedTrial(dict(params)))

    def job(self, params: Mapping[str, Scalar]) -> Job:
        """Return the job of a trial with these parameters. It never reads the test set."""
        cell = Cell(experiment=self.experiment(params), block=self.block)
        return self.run_context.job(cell, read_test=False)

    def cell_now(self, params: Mapping[str, Scalar]) -> str | None:
        """Return the cell that the space makes of these parameters now.

        None where it cannot: it asks for other parameters than it did when they were drawn.
        """
        try:
            return self.job(params).name
        except ValueError:
            return None


def ask(space: str, trial: Any, change: Change | None) -> Experiment:
    """Return what the space in this module makes of a trial, changed to a variant.

    Raises ValueError where that is no experiment.
    """
    made = load(space, "space", "search_spaces")(trial)
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
        with contextlib.suppress(ValueError):
            yield ask(space, optuna.trial.FixedTrial({**fixed, **trial.params}), change)


def same_cell(one: str | None, other: str) -> bool:
    """Return whether two names mean the same cell, whatever it was computed on."""
    return one is not None and one.rpartition("-")[0] == other.rpartition("-")[0]
