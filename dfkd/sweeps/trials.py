"""A trial of a search: a Tune trainable that drives one cell after another in one warm process."""

from __future__ import annotations

import json
from typing import Any

from ray import tune

from dfkd.seeding import use_deterministic
from dfkd.storage.ledger import Ledger
from dfkd.sweeps.context import TrialContext
from dfkd.sweeps.findings import Trial
from dfkd.training.cells import Computation, look_up
from dfkd.training.inputs import MappedInputs


def config_of(trial: Trial) -> dict[str, Any]:
    """Return a trial as Tune passes it on: as text, whatever its parameters are called."""
    return {"trial": json.dumps(trial.record())}


def trial_in(config: dict[str, Any]) -> Trial:
    """Return the trial that `config_of` wrote."""
    return Trial(**json.loads(config["trial"]))


class CellTrial(tune.Trainable):
    """One cell. Each `step` trains to its next evaluation and reports the point of the curve.

    The probe in it is the only number that the search sees.
    """

    def setup(self, config: dict[str, Any], context: TrialContext, mapped: MappedInputs) -> None:  # type: ignore[override]
        """Begin the first cell of this process."""
        use_deterministic(context.compute.cpus)
        self.context = context
        self.inputs = mapped.open()
        self._start(config)

    def _start(self, config: dict[str, Any]) -> None:
        where = self.context.compute
        self.computation = Computation(
            self.context.job(trial_in(config)), self.inputs, Ledger(where.storage), where.device
        )

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin the cell of another trial in the same process: the warm path."""
        self.computation.close()
        self._start(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Return the next point, and whether it was the last."""
        report = self.computation.report()
        return report | {"done": self.computation.ended}

    def cleanup(self) -> None:
        """Let go of the cell."""
        self.computation.close()


def train_trial(config: dict[str, Any], context: TrialContext, mapped: MappedInputs) -> None:
    """Compute a trial's cell with several workers: a Tune function that drives a Ray Train run."""
    job = context.job(trial_in(config))
    known = look_up(job, Ledger(context.compute.storage))
    if known is None or not known.final:
        from ray.tune.integration.ray_train import TuneReportCallback

        from dfkd.execution.train_group import fit  # Ray Train takes seconds to import

        fit(job, mapped, context.compute, [TuneReportCallback()])  # type: ignore[no-untyped-call]
        return
    for point in known.points:
        state = known.state if point is known.points[-1] else "running"
        tune.report({"probe": point["probe"], "point": point, "state": state})
