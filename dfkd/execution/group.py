"""A group of workers as a driver or a trial sees it: it asks for point after point of a cell."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError

from dfkd.execution.board import LOST, Answer, Failed, Held, Order, Point, SharedCell
from dfkd.storage.lease import Say
from dfkd.storage.outcome import Outcome
from dfkd.training.jobs import Job

ATTEMPTS = 3  # at a cell whose workers are lost, or raise what is no ValueError
CLAIM_S = 0.2


class CellFailed(Exception):
    """A cell that could not be computed in all attempts; its text is the log."""


@dataclass(frozen=True)
class Group:
    """A group of workers. board: where it is asked. run: its Ray Train run."""

    board: Any
    run: ray.ObjectRef[None]

    def ask(self, order: Order) -> ray.ObjectRef[Answer]:
        """Order the next point of a cell; the answer may take as long as that does."""
        asked: ray.ObjectRef[Answer] = self.board.ask.remote(order)
        return asked

    def last_words(self) -> str:
        """Return why a run that is done is over."""
        try:
            ray.get(self.run)
        except RayError as error:
            return str(error)
        return "its workers have ended"

    def next_report(self, cell: CellInGroup, say: Say) -> dict[str, Any]:
        """Return the cell's next point, after waiting for commands that compute the same cell.

        Raises CellFailed.
        """
        while True:
            asked = self.ask(cell.order)
            ended, _ = ray.wait([asked, self.run], num_returns=1)
            if asked not in ended:
                raise CellFailed(self.last_words())
            answer = ray.get(asked)
            if isinstance(answer, Held) and answer.line:
                say(answer.line)
            if (report := cell.hear(answer)) is not None:
                return report

    def let_go(self) -> None:
        """Leave the cell that is under way as it is, at its last checkpoint."""
        ray.wait([self.ask(Order(name="let go", cell=None)), self.run], num_returns=1)


def claim(groups: Sequence[Group], owner: str) -> Group:
    """Return one of the groups, for this owner alone; wait until one is free."""
    while True:
        for group in groups:
            if ray.get(group.board.claim.remote(owner)):
                return group
        time.sleep(CLAIM_S)


class CellInGroup:
    """A cell that a group computes: `ask` for a point, then `hear` the answer, until `outcome`."""

    def __init__(self, job: Job, cell: ray.ObjectRef[SharedCell]) -> None:
        self.job = job
        self.order = Order(name=uuid.uuid4().hex, cell=cell)
        self.step, self.attempts = -1.0, 1
        self.log = LOST.log
        self.outcome: Outcome | None = None

    def hear(self, answer: Answer) -> dict[str, Any] | None:
        """Return the report of a point that is new; None where one has to ask again.

        After a restart the group tells all points once more. Raises CellFailed.
        """
        if isinstance(answer, Failed):
            self.log = answer.log if answer != LOST else self.log
            if answer.final or self.attempts == ATTEMPTS:
                raise CellFailed(self.log)
            self.attempts += 1
        if not isinstance(answer, Point):
            return None
        self.outcome = answer.outcome
        step = float(answer.report["point"]["step"])
        if step <= self.step:
            return None
        self.step = step
        return answer.report
