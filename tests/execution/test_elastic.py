"""When a group of a range starts anew, and with which share of the CPUs."""

from pathlib import Path
from typing import Any

import pytest

from dfkd.execution import elastic
from dfkd.execution.checks.capacity import Machines
from dfkd.execution.compute import Compute
from dfkd.execution.elastic import GROWTH, said, share, should_pause
from dfkd.storage import FolderStorage


@pytest.fixture
def where(tmp_path: Path) -> Compute:
    return Compute(storage=FolderStorage(tmp_path), workers=8, least_workers=2)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A cluster that has one machine with so many CPUs now, and may grow to `later`."""

    def has(now: float, later: float | None = 0) -> None:
        grown = None if later is None else [Machines(cpus=later, gpus=0)] if later else []
        monkeypatch.setattr(elastic, "machines_now", lambda: [Machines(cpus=now, gpus=0)])
        monkeypatch.setattr(elastic, "machines_later", lambda: grown)

    return has


@pytest.mark.parametrize(
    ("now", "groups", "cpus", "expected"),
    [
        (8, 1, 1.0, False),
        (4, 1, 1.0, True),  # its own workers are lost, and it ends by itself
        (1, 1, 1.0, False),  # fewer than the least: there is nothing to start
        (3, 1, 0.25, False),  # half as much again
        (4, 1, 0.25, True),
        (7, 1, 0.5, False),
        (8, 1, 0.875, True),  # whole
        (12, 2, 1.0, True),  # the other group needs room
        (12, 2, 0.75, False),
    ],
)
def test_when_a_group_starts_anew(
    cluster: Any, where: Compute, now: float, groups: int, cpus: float, expected: bool
) -> None:
    cluster(now)
    assert should_pause(where, groups, cpus) is expected


def test_a_cluster_that_may_grow_is_asked_for_all_at_first(cluster: Any, where: Compute) -> None:
    cluster(now=4, later=4)
    assert share(where, 1, vain=0) == 0.5
    for later in (None, 8.0):  # or does not say how far
        cluster(now=4, later=later)
        assert share(where, 1, vain=0) == 1
        assert share(where, 1, vain=GROWTH) == 0.5
    assert said(where, 0.5) == "the 8 workers of a cell run on 4 CPU"


def test_ray_train_still_has_a_limit_for_a_start() -> None:
    from ray.train.v2._internal import constants  # seconds

    name = constants.WORKER_GROUP_START_TIMEOUT_S_ENV_VAR
    assert name == "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"
    assert name in constants.ENV_VARS_TO_PROPAGATE
