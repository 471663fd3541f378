"""A trial of a search: a Tune trainable that drives one cell after another in one warm process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import optuna
from ray import tune

from dfkd.execution.compute import Compute
from dfkd.experiment import Cell, Experiment
from dfkd.identity import Scalar
from dfkd.seeding import Block, use_deterministic
from dfkd.storage.ledger import Ledger
from dfkd.sweeps.variants import Change, Narrowed
from dfkd.training.cells import Computation, Job, RunContext, look_up
from dfkd.training.inputs import MappedInputs
from dfkd.user_modules import load


@dataclass(frozen=True, kw_only=True)
class TrialContext:
    """What all trials of a search share; a trial adds its parameters."""

    space: str  # module name
    default: dict[str, Any]  # the parameters that are tried first
    block: Block
    run_context: RunContext
    compute: Compute
    change: Change | None = (
        None  # the variant of the recipe that is searched, None for the recipe itself
    )
    fixed: Mapping[str, Scalar] = field(
        default_factory=dict
    )  # parameters that the variant leaves nothing to choose in

    def ask(self, trial: optuna.trial.BaseTrial) -> Experiment:
        experiment: Experiment = load(self.space, "space", "search_spaces")(
            Narrowed(trial, self.fixed) if self.fixed else trial
        )
        return experiment if self.change is None else self.change(experiment)

    def experiment(self, params: dict[str, Any]) -> Experiment:
        """The experiment that the space makes of these values: the same in the driver, a worker and
        a later report.
        """
        return self.ask(optuna.trial.FixedTrial(params))

    def trial(self, params: dict[str, Any]) -> Job:
        """A trial's cell. It never reads the test set."""
        return self.run_context.job(
            Cell(experiment=self.experiment(params), block=self.block), read_test=False
        )


class CellTrial(tune.Trainable):
    """Each `step` trains to the next evaluation and reports the probe, the only number that the
    search sees.
    """

    def setup(self, config: dict[str, Any], context: TrialContext, mapped: MappedInputs) -> None:  # type: ignore[override]
        use_deterministic(context.compute.cpus)
        self.context = context
        self.inputs = mapped.open()
        self._start(config)

    def _start(self, config: dict[str, Any]) -> None:
        where = self.context.compute
        self.computation = Computation(
            self.context.trial(config), self.inputs, Ledger(where.storage), where.device
        )

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """The warm path: the same process goes on with the next trial's cell."""
        self.computation.close()
        self._start(new_config)
        return True

    def step(self) -> dict[str, Any]:
        report = self.computation.report()
        return report | {"done": self.computation.ended}

    def cleanup(self) -> None:
        self.computation.close()


def train_trial(config: dict[str, Any], context: TrialContext, mapped: MappedInputs) -> None:
    """A trial whose cell needs several workers: a Tune function that drives a Ray Train run."""
    job = context.trial(config)
    known = look_up(job, Ledger(context.compute.storage))
    if known is None or not known.final:
        from ray.tune.integration.ray_train import TuneReportCallback

        from dfkd.execution.train_group import fit  # Ray Train takes seconds to import

        fit(job, mapped, context.compute, [TuneReportCallback()])  # type: ignore[no-untyped-call]
        return
    for point in known.points:
        state = known.state if point is known.points[-1] else "running"
        tune.report({"probe": point["probe"], "point": point, "state": state})
