"""What all trials of a search share, and how a trial's parameters become its cell."""

from collections.abc import Mapping
from dataclasses import dataclass

import optuna

from dfkd.execution.compute import Compute
from dfkd.experiment import Cell, Experiment
from dfkd.identity import Scalar
from dfkd.seeding import Block
from dfkd.sweeps.search_space import SearchSpace
from dfkd.sweeps.trial import Trial
from dfkd.training.jobs import Job, RunContext


@dataclass(frozen=True, kw_only=True)
class TrialContext:
    """What all trials of a search share; a trial adds its parameters."""

    space: SearchSpace
    block: Block
    run_context: RunContext
    compute: Compute

    def ask(self, trial: optuna.trial.BaseTrial) -> Experiment:
        """Return the experiment that the space makes of a trial."""
        return self.space.ask(trial)

    def experiment(self, params: Mapping[str, Scalar]) -> Experiment:
        """Return the experiment of these parameters, equal in driver, worker and a later report.

        Raises ValueError where the space asks for a parameter that is not among them.
        """
        return self.ask(optuna.trial.FixedTrial(dict(params)))

    def made_of(self, trial: Trial) -> Experiment:
        """Return the experiment of a trial: the default itself, or what its parameters make."""
        return self.space.default() if trial.is_default else self.experiment(trial.params)

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


def same_cell(one: str | None, other: str) -> bool:
    """Return whether two names mean the same cell, whatever it was computed on."""
    return one is not None and one.rpartition("-")[0] == other.rpartition("-")[0]
