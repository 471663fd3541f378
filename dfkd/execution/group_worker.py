"""What each worker of a group does: cell after cell, point after point, as the board orders.

Only the first worker talks to the board. It holds the cell's lease and writes the ledger, and tells
the others what comes next through the process group, which stays.
"""

import traceback
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch
import torch.distributed
from torch import Tensor

from dfkd.execution.board import Answer, Failed, Held, Order, Point, SharedCell
from dfkd.execution.compute import Compute
from dfkd.execution.shared_run import Refused, SharedRun
from dfkd.seeding import use_deterministic
from dfkd.storage.lease import Holder, Lease, Wait
from dfkd.storage.ledger import Ledger
from dfkd.storage.outcome import Outcome
from dfkd.training.cells import Computation

PATIENCE_S = 60.0  # how long the others wait for a word: less than a process group's 30 minutes
WAIT, END, LET_GO = "wait", "end", "let go"


class _NoLease:
    """A `Lease` that is always to be had: the first worker holds the cell's for all."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass

    def holder(self) -> Holder | None:
        return None


class LeadersLedger(Ledger):
    """The ledger of the first worker, which holds the cell's lease already."""

    def lease(self, cell: str) -> Lease:
        return _NoLease()


class FollowersLedger(LeadersLedger):
    """The ledger of all other workers: they read checkpoints and write nothing."""

    def write(self, outcome: Outcome, weights: dict[str, Tensor] | None) -> None:
        pass

    def checkpoint(self, cell: str, state: dict[str, Any]) -> None:
        pass


def work(config: dict[str, Any]) -> None:
    """Work in a group until it is told to end. config: "where" and "board"."""
    where: Compute = config["where"]
    use_deterministic(where.cpus)
    device = str(ray.train.torch.get_device()) if where.gpus else "cpu"
    worker = _Worker(config["board"], device)
    with ExitStack() as stack:
        stack.callback(worker.let_go)
        stack.push(worker.tell_failure)
        worker.run()


class _Worker:
    """One worker: the cell under way, if there is one, and of the first worker its lease."""

    def __init__(self, board: Any, device: str) -> None:
        self.board, self.device = board, device
        self.leads = torch.distributed.get_rank() == 0
        self.start = self._shared(ray.get(board.join.remote()) if self.leads else None)
        self.name = ""
        self.computation: Computation | None = None
        self.lease: Lease | None = None
        self.waits = dict[str, Wait]()  # for cells that other commands hold
        self.said = list[str]()

    def run(self) -> None:
        """Do what the first worker hears, all together."""
        while (word := self._shared(self._hear() if self.leads else None)) != END:
            if word == LET_GO:
                self.let_go()
                self._answer(word, None)
            elif word != WAIT:
                self._advance(word)

    def let_go(self) -> None:
        """Free what the cell under way holds."""
        if self.computation is not None:
            self.computation.close()
        if self.lease is not None:
            self.lease.release()
        self.name, self.computation, self.lease = "", None, None

    def tell_failure(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Tell the board what ends this worker, and with it the group; Ray Train starts another."""
        if error is not None:
            log = "".join(traceback.format_exception(error))
            failed = Failed(log=log, final=isinstance(error, ValueError))
            ray.get(self.board.fail.remote(self.start, self.name, failed))

    def _shared(self, value: Any) -> Any:
        """Return what the first worker gives here."""
        box = [value]
        torch.distributed.broadcast_object_list(box, 0, device=torch.device(self.device))
        return box[0]

    def _hear(self) -> str:
        """Return the name of the cell to go on with, WAIT, END or LET_GO."""
        order = ray.get(self.board.take.remote(PATIENCE_S))
        if isinstance(order, str):
            return order
        if order.cell is None:
            return LET_GO
        return order.name if order.name == self.name or self._hold(order) else WAIT

    def _hold(self, order: Order) -> bool:
        """Take the lease of another cell, or answer that it is not to be had."""
        self.let_go()
        cell = self._cell(order)
        job = cell.job
        wait = self.waits.get(job.name)
        if wait is None:
            lease = Ledger(cell.storage).lease(job.name)
            wait = self.waits[job.name] = Wait(lease, job.shown, self.said.append)
        if not wait.lease.acquire():
            wait.poll()
            self._answer(order.name, Held(line=" ".join(self.said)))
            self.said.clear()
            return False
        self.lease = self.waits.pop(job.name).lease
        return True

    def _advance(self, name: str) -> None:
        """Compute the next point of the cell, and answer with it."""
        if name != self.name:
            try:
                self._begin(name)
            except Refused:  # by all workers: none has to be started again
                self._answer(name, Failed(log=traceback.format_exc(), final=True))
                self.let_go()
                return
        assert self.computation is not None
        report = self.computation.report()
        outcome = self.computation.outcome if self.computation.ended else None
        if outcome is not None:
            self.let_go()
        self._answer(name, Point(report=report, outcome=outcome))

    def _begin(self, name: str) -> None:
        self.name, self.computation = name, None
        cell = self._cell(ray.get(self.board.current.remote()))
        job, inputs = cell.job, ray.get(cell.mapped).open()
        ledger = LeadersLedger(cell.storage) if self.leads else FollowersLedger(cell.storage)
        if not self.leads:
            job = replace(job, read_test=False)
        self.computation = Computation(job, inputs, ledger, self.device, run_type=SharedRun)

    def _cell(self, order: Order) -> SharedCell:
        assert order.cell is not None
        return ray.get(order.cell)

    def _answer(self, name: str, answer: Answer) -> None:
        if self.leads:
            ray.get(self.board.answer.remote(name, answer))
