"""The watchdog: silent while things end, then a line at growing distances."""

from threading import Event

import pytest

from dfkd.execution import watchdog as module
from dfkd.execution.watchdog import Watchdog


def test_it_speaks_at_growing_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    now, said = [0.0], list[str]()
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    watchdog = Watchdog(said.append, lambda: "2 cells are computed")
    spoke_at = list[float]()
    for second in range(1, 1000):
        now[0], before = float(second), len(said)
        watchdog.look()
        if len(said) > before:
            spoke_at.append(now[0])
    assert spoke_at == [60, 180, 420, 900]
    assert said[1] == "nothing has ended for 180 s: 2 cells are computed"


def test_work_that_ends_now_and_then_is_said_a_few_times_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, said = [0.0], list[str]()
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    watchdog = Watchdog(said.append, lambda: "1 cell is computed")
    for second in range(1, 100_000):
        now[0] = float(second)
        if second % 100 == 0:
            watchdog.ended()
        watchdog.look()
    assert said == ["nothing has ended for 60 s: 1 cell is computed"]


def test_it_speaks_while_a_library_gives_no_turn() -> None:
    told = Event()
    watchdog = Watchdog(lambda line: told.set(), lambda: "1 shard is scored", quiet_s=0.01)
    with watchdog.beside():
        assert told.wait(30)
