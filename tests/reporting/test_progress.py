"""Progress without a terminal: lines that say how far the work is, and when it will end."""

import time

import pytest

from dfkd.reporting.console import Console


def test_the_estimate_leaves_out_what_came_before_the_first_thing_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    times = iter([0.0, 0.0, 40.0, 42.0, 58.0, 74.0, 80.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(times))
    with Console().progress("search", 20, "trials") as advance:
        for note in ("best 0.6", "", "best 0.7", ""):
            advance(1, note)
    assert capsys.readouterr().out.splitlines() == [
        "search: 1/20 trials, best 0.6",  # after 40 seconds of start-up
        "search: 3/20 trials, about 3 min left, best 0.7",  # one in 9 s
        "search: 4/20 trials, about 3 min left",
        "search: 20 trials in 80 s",
    ]
