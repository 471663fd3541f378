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
    cpus_each,
    holds,
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


SHARES = {  # machines, compute's changes, groups, CPUs of each worker
    "enough": ([(8, 1)], {}, 1, 1),
    "one number": ([(4, 1)], {"least_workers": None}, 1, 1),
    "the least": ([(2, 1)], {}, 1, 0.25),
    "a share that Ray can count": ([(3, 1)], {"workers": 7}, 1, 0.4285),
    "as much as can be": ([(4, 1), (3, 1)], {}, 1, 0.8),
    "several CPUs each": ([(8, 1)], {"cpus": 3}, 1, 1),
    "machines of one CPU": ([(1, 5)], {}, 1, 0.5),
    "two groups": ([(12, 1)], {}, 2, 0.75),
    "fewer than the least": ([(1, 1)], {}, 1, 1),
    "none of the least": ([(2, 9)], {"cpus": 3}, 1, 3),
}


@pytest.mark.parametrize("case", SHARES)
def test_of_how_many_cpus_the_workers_of_a_range_have_a_share(case: str, tmp_path: Path) -> None:
    machines, changes, groups, expected = SHARES[case]
    given = {"workers": 8, "least_workers": 2} | changes
    compute = Compute(storage=FolderStorage(tmp_path), **given)
    found = [Machines(cpus=cpus, gpus=0, count=count) for cpus, count in machines]
    share = cpus_each(found, compute, groups)
    assert share == expected
    if workers_on(found, compute) >= compute.fewest:
        assert holds(found, compute, groups, share)


def test_of_a_range_there_must_be_room_for_the_smaller_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    monkeypatch.setattr(capacity, "machines_now", lambda: [Machines(cpus=3, gpus=0, count=1)])
    monkeypatch.setattr(capacity, "machines_later", lambda: [])
    compute = Compute(storage=FolderStorage(tmp_path), workers=8, least_workers=3)
    for check in (check_this_machine, check_capacity):
        check(compute)
        with pytest.raises(ValueError, match="one cell needs 4 x 1 CPU"):
            check(replace(compute, least_workers=4))
    assert cells_on(capacity.machines_now(), compute) == 1


def test_ranges_that_make_no_sense(tmp_path: Path) -> None:
    compute = Compute(storage=FolderStorage(tmp_path), workers=8, least_workers=8)
    assert not compute.elastic and compute.of_one_worker().workers == 1
    for least in (0, 9):
        with pytest.raises(ValueError, match="the smaller number comes first"):
            replace(compute, least_workers=least)
    with pytest.raises(ValueError, match="NCCL refuses two on one: ask for one number"):
        replace(compute, least_workers=2, gpus=1)
    replace(compute, gpus=1)


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
