"""Curves by steps, images and device seconds, and when they are near their ends."""

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from dfkd.reproduction.convergence import points, reached
from dfkd.storage.outcome import SYNTHESIS


def study() -> Any:
    """Two variants of one block; the pool of the second took 30 s before its first step."""
    cells = [
        {"variant": "full", "block": 0, "state": "finished", "seconds": 10.0},
        {"variant": "made", "block": 0, "state": "finished", "seconds": 40.0, SYNTHESIS: 30.0},
        {"variant": "lost", "block": 0, "state": "diverged", "seconds": 1.0},
    ]
    curves = [
        {"variant": variant, "block": 0, "step": step, "validation": value, "probe": value / 2}
        for variant, values in {"full": (0.5, 0.8), "made": (0.79, 0.8), "lost": (0.1, 0.1)}.items()
        for step, value in zip((5, 10), values, strict=True)
    ]
    params = {name: {"schedule.batch": "4"} for name in ("full", "made", "lost")}
    return SimpleNamespace(cells=pd.DataFrame(cells), curves=pd.DataFrame(curves), params=params)


def test_the_seconds_of_a_synthesis_come_before_the_first_step() -> None:
    found = points(study()).set_index(["variant", "step"])
    assert found["seconds"].to_dict() == {
        ("full", 5): 5.0,
        ("full", 10): 10.0,
        ("made", 5): 35.0,
        ("made", 10): 40.0,
    }
    assert found.loc[("full", 10), "images"] == 40


def test_when_each_is_near_its_own_end_and_the_baselines() -> None:
    rows = reached(study(), "full").set_index("variant")
    assert rows["final"].to_list() == pytest.approx([0.8, 0.8])
    assert rows["step"].to_list() == [10, 5] and rows["seconds"].to_list() == [10.0, 35.0]
    assert rows["to_full"].to_list() == [10.0, 35.0]
