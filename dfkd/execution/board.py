"""The board between a driver and a group of workers: what is asked of it, and what it answers."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ray

if TYPE_CHECKING:  # the actor passes these on, and needs no PyTorch for it
    from dfkd.storage import Storage
    from dfkd.storage.outcome import Outcome
    from dfkd.training.inputs import MappedInputs
    from dfkd.training.jobs import Job


@dataclass(frozen=True, kw_only=True)
class SharedCell:
    """What every worker of a group needs for a cell."""

    job: Job
    mapped: ray.ObjectRef[MappedInputs]
    storage: Storage


@dataclass(frozen=True, kw_only=True)
class Order:
    """An order for the next point of a cell; the first one of a name begins the cell.

    cell: None to let go of the cell that is under way.
    """

    name: str
    cell: ray.ObjectRef[SharedCell] | None


@dataclass(frozen=True, kw_only=True)
class Point:
    """The next point of a cell. outcome: with the last one."""

    report: dict[str, Any]
    outcome: Outcome | None


@dataclass(frozen=True, kw_only=True)
class Held:
    """Another command computes the cell. line: what the driver has to say of it, or empty."""

    line: str


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The cell could not be computed. final: nor could it be if it were tried again."""

    log: str
    final: bool


Answer = Point | Held | Failed | None  # None: the cell was let go of, or is to be asked for again
SILENT_S = 60.0  # of a killed trial's process; one that lives asks again at once
FRUITLESS = 10  # starts one after the other without an answer: the group gives up
LOST = Failed(log="the workers were lost while they computed the cell", final=False)


class Board:
    """An actor that outlives the workers, so that a driver asks whichever are there.

    A worker or driver that is killed while it waits here leaves nothing behind that could take what
    is meant for its successor.
    """

    def __init__(self) -> None:
        self.alive, self.starts = asyncio.Event(), 0
        self.orders = asyncio.Queue[Order | None]()
        self.taken: Order | None = None
        self.asked = dict[str, asyncio.Future[Answer]]()
        self.owner, self.heard_s = "", 0.0
        self.ended, self.served = False, 0  # told to end; the last start that computed something
        self.begun = ""  # the order whose cell is under way
        self.pausing = False  # the group is to end between two cells, and another one to start
        self.line, self.news = "", asyncio.Queue[str]()  # of the next start; of those that were

    async def claim(self, owner: str) -> bool:
        """Return whether the group is this owner's now.

        It takes over from one that has asked for nothing for so long that it must be gone.
        """
        silent = not self.asked and time.monotonic() - self.heard_s > SILENT_S
        if silent or self.owner in ("", owner):
            self.owner, self.heard_s = owner, time.monotonic()
        return self.owner == owner

    async def free(self, owner: str) -> None:
        """End a claim."""
        if self.owner == owner:
            self.owner = ""

    async def ask(self, order: Order) -> Answer:
        """Return the group's answer to this order, once there is a group."""
        await self.alive.wait()
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.asked[order.name], self.heard_s = answer, time.monotonic()
        self.orders.put_nowait(order)
        return await answer

    async def end(self) -> None:
        """Let the group end when it has done what it was asked for."""
        self.ended = True
        self.orders.put_nowait(None)

    async def pause(self) -> None:
        """Let the group end before it begins another cell. Who asks then asks another group."""
        self.pausing = True
        if not self.asked and not self.begun:
            self.orders.put_nowait(None)

    async def paused(self) -> bool:
        """Return whether a group that has ended was told to pause."""
        return self.pausing and not self.ended

    async def begun_starts(self) -> int:
        """Return how many starts have come as far as to join."""
        return self.starts

    async def tell(self, line: str) -> None:
        """Take the line that the next start has for the driver."""
        self.line = line

    async def hear(self) -> str:
        """Return the line of a start, once there is another one that has any."""
        return await self.news.get()

    async def join(self) -> int:
        """Begin anew with a group that has just started; return the number of its start."""
        self.starts += 1
        self.orders = asyncio.Queue()
        if self.ended or self.starts - self.served > FRUITLESS:
            self.orders.put_nowait(None)
        for name in list(self.asked):
            self._answer(name, None if self.pausing else LOST)
        self.begun, self.pausing = "", False
        if self.line:
            self.news.put_nowait(self.line)
        self.line = ""
        self.alive.set()
        return self.starts

    async def take(self, timeout_s: float) -> Order | str:
        """Return the next order, "end" or, after so many seconds without one, "wait"."""
        try:
            order = await asyncio.wait_for(self.orders.get(), timeout_s)
        except TimeoutError:
            return "wait"
        another = order is not None and order.cell is not None and order.name != self.begun
        if self.pausing and another:
            order = None  # `join` answers what stays asked
        self.taken = order
        return "end" if order is None else order

    async def current(self) -> Order | None:
        """Return the order that was taken last."""
        return self.taken

    async def answer(self, name: str, answer: Answer) -> None:
        """Answer the order of this name."""
        self.served = self.starts
        self.begun = name if isinstance(answer, Point) and answer.outcome is None else ""
        self._answer(name, answer)

    async def fail(self, start: int, name: str, failed: Failed) -> None:
        """Say that a worker of this start fails, and the group with it; the first one counts."""
        if start == self.starts:
            self.alive.clear()
            self._answer(name, failed)

    def _answer(self, name: str, answer: Answer) -> None:
        asked = self.asked.pop(name, None)
        self.heard_s = time.monotonic()
        if asked is not None and not asked.done():
            asked.set_result(answer)
