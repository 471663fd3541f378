"""A trial of a search: a Tune trainable that drives one cell after another, here or in a group."""

import json
import traceback
import uuid
from collections.abc import Sequence
from typing import Any

import ray
from ray import tune

from dfkd.execution.board import SharedCell
from dfkd.execution.group import CellFailed, CellInGroup, Group, claim
from dfkd.seeding import use_deterministic
from dfkd.storage.lease import log
from dfkd.storage.ledger import Ledger
from dfkd.sweeps.context import TrialContext
from dfkd.sweeps.trial import Trial
from dfkd.training.cells import Computation
from dfkd.training.inputs import MappedInputs
from dfkd.training.measures import judged
from dfkd.user_modules import fault_in, users_code


def config_of(trial: Trial) -> dict[str, Any]:
    """Return a trial as Tune passes it on: as text, whatever its parameters are called."""
    return {"trial": json.dumps(trial.record())}


def trial_in(config: dict[str, Any]) -> Trial:
    """Return the trial that `config_of` wrote."""
    return Trial(**json.loads(config["trial"]))


def point_in(result: dict[str, Any]) -> dict[str, float]:
    """Return the point of the curve in a trial's result, which Tune has flattened."""
    return {
        name.removeprefix("point/"): value
        for name, value in result.items()
        if name.startswith("point/")
    }


def failed(line: str, log: str) -> dict[str, Any]:
    """Return the result of a trial whose code raised an error: the lowest probe there can be."""
    return {"probe": 0.0, "state": "errored", "line": line, "log": log, "done": True}


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
        where, trial = self.context.compute, trial_in(config)
        self.costs, self.measure = dict(trial.costs), trial.measure
        self.computation = Computation(
            self.context.job(trial), self.inputs, Ledger(where.storage), where.device
        )

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin the cell of another trial in the same process: the warm path."""
        self.computation.close()
        self._start(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Return the next point, and whether it was the last.

        A mistake in the cell's code is told as the trial's end: raised, it would be tried again. An
        error of the system is raised, since a storage that was away may be back by then.
        """
        try:
            with users_code(passing=(OSError,)):
                report = self.computation.report()
            probe = judged(report["point"], self.measure)
        except ValueError as error:
            self.computation.close()
            return failed(str(error), traceback.format_exc()) | self.costs
        return report | {"probe": probe, "done": self.computation.ended, **self.costs}

    def cleanup(self) -> None:
        """Let go of the cell."""
        self.computation.close()


class GroupTrial(tune.Trainable):
    """The same for several workers: the trial has a group of them to itself, and asks it."""

    def setup(  # type: ignore[override]
        self,
        config: dict[str, Any],
        context: TrialContext,
        mapped: MappedInputs,
        groups: Sequence[Group],
    ) -> None:
        """Begin the first cell of this process, once there is a free group."""
        self.context, self.mapped, self.owner = context, ray.put(mapped), uuid.uuid4().hex
        self.group = claim(groups, self.owner)
        self._start(config)

    def _start(self, config: dict[str, Any]) -> None:
        trial, storage = trial_in(config), self.context.compute.storage
        self.costs, self.measure = dict(trial.costs), trial.measure
        job = self.context.job(trial)
        shared = SharedCell(job=job, mapped=self.mapped, storage=storage)
        self.cell = CellInGroup(job, ray.put(shared))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin the cell of another trial with the same group: the warm path."""
        self._let_go()
        self._start(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Return the next point, and whether it was the last."""
        try:
            report = self.group.next_report(self.cell, log)
        except CellFailed as error:  # after attempts of its own
            return failed(fault_in(str(error)), str(error)) | self.costs
        probe = judged(report["point"], self.measure)
        return report | {"probe": probe, "done": self.cell.outcome is not None, **self.costs}

    def cleanup(self) -> None:
        """Let go of the cell and of the group."""
        self._let_go()
        ray.get(self.group.board.free.remote(self.owner))

    def _let_go(self) -> None:
        if self.cell.outcome is None:
            self.group.let_go()
