"""The board between a driver and its workers, whatever becomes of those who wait at it."""

import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest

from dfkd.execution.board import FRUITLESS, LOST, Board, Failed, Order, Point
from dfkd.execution.group import ATTEMPTS, CellFailed, CellInGroup

CELL = cast(Any, "a cell")
FIRST, SECOND = Order(name="first", cell=CELL), Order(name="second", cell=CELL)


def point(step: float) -> Point:
    return Point(report={"point": {"step": step}}, outcome=None)


def test_an_order_waits_for_the_group_and_is_answered() -> None:
    async def play() -> None:
        board = Board()
        asked = asyncio.create_task(board.ask(FIRST))
        assert await board.take(0.01) == "wait"
        assert await board.join() == 1
        assert await board.take(1) == FIRST == await board.current()
        await board.answer("first", point(5))
        assert await asked == point(5)

    asyncio.run(play())


def test_who_was_lost_takes_nothing_from_its_successor() -> None:
    async def play() -> None:
        board = Board()
        await board.join()
        lost = asyncio.create_task(board.take(100))  # by a worker that is killed at this moment
        await asyncio.sleep(0)
        await board.join()
        asked = asyncio.create_task(board.ask(FIRST))
        assert await board.take(1) == FIRST and not lost.done()
        await board.join()  # the second one is lost with the order in its hands
        assert await asked == LOST
        lost.cancel()

    asyncio.run(play())


def test_the_first_failure_of_a_start_counts() -> None:
    async def play() -> None:
        board = Board()
        start = await board.join()
        asked = asyncio.create_task(board.ask(FIRST))
        await board.take(1)
        root = Failed(log="ValueError: the cause", final=True)
        await board.fail(start, "first", root)
        await board.fail(start, "first", Failed(log="RuntimeError: peer closed", final=False))
        assert await asked == root
        later = asyncio.create_task(board.ask(SECOND))  # is not given to a group that ends
        await asyncio.sleep(0.01)
        await board.join()
        await board.fail(start, "second", root)  # too late: there is another group
        assert await board.take(1) == SECOND
        await board.answer("second", point(1))
        assert await later == point(1)

    asyncio.run(play())


def test_a_group_pauses_between_cells_and_who_asks_asks_the_next_one() -> None:
    async def play() -> None:
        board = Board()
        await board.tell("on 2 CPU")
        await board.join()
        assert await board.hear() == "on 2 CPU"
        await board.pause()  # there is no cell
        assert await board.take(1) == "end" and await board.paused()
        await board.join()
        asked = asyncio.create_task(board.ask(FIRST))
        await board.take(1)
        await board.answer("first", point(1))
        await asked
        await board.pause()  # there is one: its points go on
        asked = asyncio.create_task(board.ask(FIRST))
        assert await board.take(1) == FIRST
        await board.answer("first", replace(point(2), outcome=cast(Any, "an outcome")))
        await asked
        later = asyncio.create_task(board.ask(SECOND))
        assert await board.take(1) == "end" and not later.done()
        await board.join()
        assert await later is None and not await board.paused()  # no attempt is lost

    asyncio.run(play())


def test_a_cell_is_let_go_of_in_a_group_that_pauses() -> None:
    async def play() -> None:
        board = Board()
        await board.join()
        asked = asyncio.create_task(board.ask(FIRST))
        await board.take(1)
        await board.answer("first", point(1))
        await asked
        await board.pause()
        letting = asyncio.create_task(board.ask(Order(name="let go", cell=None)))
        assert cast(Order, await board.take(1)).cell is None
        await board.answer("let go", None)
        await letting
        await board.pause()
        assert await board.take(1) == "end"

    asyncio.run(play())


def test_points_told_again_after_a_restart_are_passed_over() -> None:
    cell = CellInGroup(CELL, CELL)
    told = [point(5), point(10), LOST, point(5), point(10), point(15)]
    reports = [cell.hear(answer) for answer in told]
    assert [r["point"]["step"] for r in reports if r is not None] == [5, 10, 15]


def test_a_cell_fails_for_good_after_its_attempts_or_at_once() -> None:
    cell = CellInGroup(CELL, CELL)
    cell.hear(Failed(log="out of memory", final=False))
    for _ in range(ATTEMPTS - 2):
        cell.hear(LOST)
    with pytest.raises(CellFailed, match="out of memory"):
        cell.hear(LOST)
    with pytest.raises(CellFailed, match="batch"):
        CellInGroup(CELL, CELL).hear(Failed(log="batch", final=True))


def test_a_group_is_one_owners_until_it_is_freed_or_its_owner_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def play() -> None:
        board = Board()
        await board.join()
        assert await board.claim("one") and await board.claim("one")
        assert not await board.claim("two")
        await board.free("two")  # it is not its own
        assert not await board.claim("two")
        await board.free("one")
        assert await board.claim("two")
        asked = asyncio.create_task(board.ask(FIRST))
        await board.take(1)
        monkeypatch.setattr("dfkd.execution.board.SILENT_S", 0.0)
        assert not await board.claim("three")  # its owner waits for an answer
        await board.answer("first", point(1))
        await asked
        await asyncio.sleep(0.001)
        assert await board.claim("three")

    asyncio.run(play())


def test_a_group_ends_when_told_even_before_it_has_started_or_when_it_starts_in_vain() -> None:
    async def play() -> None:
        board = Board()
        await board.end()
        await board.join()
        assert await board.take(1) == "end"
        board = Board()
        for _ in range(FRUITLESS):
            await board.join()
        assert await board.take(0.01) == "wait"
        await board.join()
        assert await board.take(1) == "end"

    asyncio.run(play())
