"""What a cluster holds: no worker is split between machines, no share of a GPU between GPUs."""

import inspect
import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
import ray

from dfkd.execution.checks import capacity
from dfkd.execution.checks.capacity import (
    Machines,
    cells_on,
    check_capacity,
    check_this_machine,
    workers_on,
)
from dfkd.execution.compute import Compute
from dfkd.execution.session import session
from dfkd.storage import FolderStorage

CASES = {  # machines, compute's changes, workers, cells
    "a machine": ([(8, 0, 1)], {}, 8, 8),
    "none with so many CPUs": ([(2, 0, 4)], {"cpus": 4}, 0, 1),
    "each wastes one": ([(3, 0, 2)], {"cpus": 2}, 2, 2),
    "cells of two": ([(3, 0, 1), (2, 0, 1)], {"workers": 2}, 5, 2),
    "the head has none": ([(0, 0, 1), (4, 1, 2)], {"gpus": 1.0}, 2, 2),
    "a quarter each": ([(16, 2, 1)], {"gpus": 0.25}, 8, 8),
    "0.4 leaves a fifth": ([(16, 2, 1)], {"gpus": 0.4}, 4, 4),
    "CPUs run out first": ([(2, 2, 1)], {"gpus": 0.25}, 2, 2),
    "two GPUs each": ([(16, 4, 2)], {"gpus": 2.0, "workers": 2}, 4, 2),
    "asked for fewer": ([(8, 0, 1)], {"concurrency": 3}, 8, 3),
    "without limit": ([(4, 0, math.inf)], {"cpus": 8}, 0, 1),
}


@pytest.mark.parametrize("case", CASES)
def test_how_much_fits(case: str, tmp_path: Path) -> None:
    machines, changes, workers, cells = CASES[case]
    compute = replace(Compute(storage=FolderStorage(tmp_path)), **changes)
    found = [Machines(cpus=cpus, gpus=gpus, count=count) for cpus, gpus, count in machines]
    assert workers_on(found, compute) == workers
    assert cells_on(found, compute) == cells


def test_a_cell_that_no_machine_can_ever_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity, "machines_now", lambda: [Machines(cpus=2, gpus=0, count=1)] * 4)
    monkeypatch.setattr(capacity, "machines_later", lambda: [])
    compute = Compute(storage=FolderStorage(tmp_path), cpus=4)
    with pytest.raises(ValueError, match=r"needs 4 CPU on one machine, .* at most 2 CPU") as told:
        check_capacity(compute)
    assert "8 CPU in all" in str(told.value) and "\n" not in str(told.value)
    grown = [Machines(cpus=8, gpus=0, count=2)]
    monkeypatch.setattr(capacity, "machines_later", lambda: grown)
    check_capacity(compute)
    check_capacity(replace(compute, workers=4))
    with pytest.raises(ValueError, match=r"5 x 4 CPU, .* 4 when it has grown"):
        check_capacity(replace(compute, workers=5))
    monkeypatch.setattr(capacity, "machines_later", lambda: None)  # it does not say how far
    check_capacity(replace(compute, workers=500))


def test_a_cell_that_this_machine_cannot_hold_is_refused_without_a_ray(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(ray, "init", pytest.fail)
    compute = Compute(storage=FolderStorage(tmp_path), cpus=4, workers=3)
    with pytest.raises(ValueError, match=r"3 x 4 CPU, .* 8 CPU, which makes 2 such workers"):
        session(compute).__enter__()
    check_this_machine(replace(compute, workers=2, gpus=1))  # of GPUs Ray knows


def test_ray_still_says_how_far_a_cluster_may_grow() -> None:
    state = ray._private.state.state
    assert "ClusterConfig" in inspect.signature(state.get_cluster_config).return_annotation.__name__
