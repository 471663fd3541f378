"""Cells: one experiment in one block, computed to its outcome in the ledger.

`Computation` is what a warm worker, a Train worker and a notebook all drive: evaluation by
evaluation, so that a search may stop it in between. A cell that is in the ledger is told from
there, not computed.
"""

import time
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from dfkd.models.networks import load_weights
from dfkd.models.teachers import predict
from dfkd.storage import Storage
from dfkd.storage.lease import Say, Wait, log
from dfkd.storage.ledger import Ledger
from dfkd.storage.outcome import Outcome
from dfkd.training.distill import STATE, Diverged, Run
from dfkd.training.inputs import Inputs
from dfkd.training.jobs import Job, look_up
from dfkd.training.measures import AGREEMENT, SOFT
from dfkd.training.provenance import CODE, changed_classes, code_of

CHECKPOINT_EVERY_S = 30.0


def _require_code(job: Job) -> None:
    """Raise ValueError if this process has other code of the user's than the job's maker had.

    Not of what `__main__` defines: such a class travels with the job.
    """
    here = {n: v for n, v in code_of(job.cell.experiment).items() if "__main__." not in n}
    for name in changed_classes(job.tags, here):
        raise ValueError(f"{name} has changed while cells are computed: call the command again")


class Computation:
    """One job under way: `advance` until it returns None; then `outcome` is in the ledger.

    `close` frees the lease.
    """

    def __init__(
        self,
        job: Job,
        inputs: Inputs,
        ledger: Ledger,
        device: str = "cpu",
        run_type: type[Run] = Run,
        say: Say = log,
    ) -> None:
        """Wait while another process computes the same cell.

        What that one records is then told from the ledger.
        """
        self.job, self.inputs, self.ledger, self.device = job, inputs, ledger, device
        self.run_type = run_type
        _require_code(job)
        self.points: list[dict[str, float]] = []
        self.seconds = 0.0  # spent on this cell by processes that were killed
        self.started = self.saved = time.monotonic()
        self.outcome = self._known()
        self._replay: list[dict[str, float]] = []
        self._run: Run | None = None
        self._lease = ledger.lease(job.name)
        wait = Wait(self._lease, job.shown, say)
        while self.outcome is None and not self._lease.acquire():
            wait.poll()
            self.outcome = self._known()
        if self.outcome is None:
            self._begin()
        if self.outcome is not None:
            self._replay = list(self.outcome.points)

    def _known(self) -> Outcome | None:
        outcome = look_up(self.job, self.ledger)
        return outcome if outcome is not None and outcome.final else None

    @property
    def ended(self) -> bool:
        """Whether `advance` has no further point to tell."""
        return not self._replay and (
            self.outcome is not None or len(self.points) == len(self._evaluations)
        )

    @property
    def _evaluations(self) -> tuple[int, ...]:
        return self.job.cell.experiment.schedule.evaluation_steps()

    def _begin(self) -> None:
        """Begin the cell under its lease, and let go of it where there is nothing to compute."""
        try:
            self.started = self.saved = time.monotonic()
            self.outcome = self._known()  # by the process that held the lease until just now
            if self.outcome is None:
                self._run = self._begun()
        finally:
            if self._run is None:
                self._lease.release()

    def _begun(self) -> Run:
        """Return the run from its start, or from its last checkpoint."""
        where = self.job.environment
        run = self.run_type(
            self.job.cell, self.inputs, self.device, where.precision, where.compiled
        )
        state = self.ledger.restore(self.job.name)
        if state is not None and self._serves(state):
            run.restore(state["run"])
            self._replay, self.seconds = state["points"], state["seconds"]
        return run

    def _serves(self, state: dict[str, Any]) -> bool:
        """Return whether a checkpoint is of the same code, and of this version."""
        same_code = not changed_classes(state.get("code", {}), self.job.tags)
        return same_code and state["run"].get("version") == STATE

    def advance(self) -> dict[str, float] | None:
        """Train up to the next evaluation and return its point of the curve.

        None after the last one.
        """
        if self.ended:
            self._finish()
            return None
        if self._replay:
            self.points.append(self._replay.pop(0))
        else:
            self._compute(self._evaluations[len(self.points)])
        return self.points[-1]

    def report(self) -> dict[str, Any]:
        """Return the next point as a search is told it, "point" and "state".

        The state is recorded at the end.
        """
        point = self.advance()
        assert point is not None  # callers stop at `ended`
        if self.ended:
            self.advance()
        state = self.outcome.state if self.outcome is not None and self.ended else "running"
        return {"point": point, "state": state}

    def _compute(self, until: int) -> None:
        assert self._run is not None
        run = self._run
        try:
            run.advance(until)
            self.points.append(run.evaluate())
        except Diverged:
            self.points.append(self._chance(run.step))
            self._record("diverged")
        if time.monotonic() - self.saved > CHECKPOINT_EVERY_S and self.outcome is None:
            code = {name: tag for name, tag in self.job.tags.items() if name.startswith(CODE)}
            state = {"run": run.state(), "points": self.points, "seconds": self._spent()}
            self.ledger.checkpoint(self.job.name, state | {"code": code})
            self.saved = time.monotonic()

    def _spent(self) -> float:
        return self.seconds + time.monotonic() - self.started

    def _chance(self, step: int) -> dict[str, float]:
        """Return the point of a diverged student, which is worth a guess."""
        chance = 1 / self.job.cell.experiment.task.classes
        labelled = {} if self.inputs.validation is None else {"validation": chance}
        return {"step": float(step), AGREEMENT: chance, SOFT: chance, **labelled}

    def _finish(self) -> None:
        if self.outcome is None:
            self._record("finished")
        assert self.outcome is not None
        if self.job.read_test and "test" not in self.outcome.metrics:
            self._read_test(self.outcome)
        self.close()

    def _read_test(self, outcome: Outcome) -> None:
        """Read the test set, once per cell, with the weights in the ledger."""
        task = self.job.cell.experiment.task
        if outcome.state == "finished":
            student = self.job.cell.experiment.student.build(task.classes, task.image_shape[2])
            load_weights(student, self.ledger.weights(self.job.name))
            split = task.test()
            right_N = (
                predict(student.to(self.device), split.images, task, self.device) == split.labels
            )
            by_class = {
                int(k): float(right_N[split.labels == k].mean()) for k in np.unique(split.labels)
            }
            self.ledger.write_test(self.job.name, float(right_N.mean()), by_class)
        else:
            self.ledger.write_test(self.job.name, 1 / task.classes)
        tested = self.ledger.read(self.job.name)
        self.outcome = tested and replace(tested, fresh=outcome.fresh)

    def close(self) -> None:
        """Let go of the cell. What was not recorded is computed again from the last checkpoint."""
        if self._run is not None:
            self._run = None
            self._lease.release()

    def _record(self, state: str) -> None:
        assert self._run is not None
        outcome = outcome_of(self.job, state, self.points, self._spent())
        self.outcome = replace(outcome.dated(), fresh=True)
        weights = self._run.kept.weights() if state == "finished" else None
        self.ledger.write(self.outcome, weights)


def outcome_of(job: Job, state: str, points: list[dict[str, float]], seconds: float) -> Outcome:
    """Return the record of a cell that ends at its last point."""
    last = points[-1]
    return Outcome(
        cell=job.name,
        state=state,
        step=int(last["step"]),
        metrics={name: value for name, value in last.items() if name != "step"},
        params=job.cell.experiment.params(),
        block=asdict(job.cell.block),
        tags={"teacher": job.teacher_digest, "pool": job.pool_digest, **job.tags},
        environment=asdict(job.environment),
        seconds=seconds,
        points=points,
    )


def compute(
    job: Job, inputs: Inputs, storage: Storage, device: str = "cpu", say: Say = log
) -> Outcome:
    """Compute the whole cell in this process."""
    computation = Computation(job, inputs, Ledger(storage), device, say=say)
    try:
        while computation.advance() is not None:
            pass
    finally:
        computation.close()
    assert computation.outcome is not None
    return computation.outcome
