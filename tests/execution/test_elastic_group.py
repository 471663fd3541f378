"""A range of workers on real nodes: the bits stay, whatever the cluster loses and gains."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import ray
import torch
from ray._private.node import Node
from ray.cluster_utils import Cluster

from dfkd.execution.board import SharedCell
from dfkd.execution.compute import Compute
from dfkd.execution.group import CellInGroup
from dfkd.execution.ray_executor import RayExecutor, ray_executor
from dfkd.experiment import Cell, Experiment
from dfkd.models.networks import SmallResNet
from dfkd.reporting.console import Console
from dfkd.seeding import Block
from dfkd.storage import FolderStorage
from dfkd.storage.ledger import Ledger
from dfkd.training.inputs import inputs_key

ROOT = Path(__file__).parents[2]
PATIENCE_S = 300.0

pytestmark = pytest.mark.slow  # a group starts three times, 20 s and more each


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A head that believes in two CPUs; a test adds nodes."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": True})
    monkeypatch.setenv("RAY_ADDRESS", made.address)
    try:
        yield made
    finally:
        made.shutdown()


class Lines(Console):
    """Keeps what is said of CPUs."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.said = list[str]()

    def line(self, text: str) -> None:
        if text.endswith(" CPU"):
            self.said.append(text.removeprefix("the 4 workers of a cell run on "))

    def wait_for(self, lines: list[str]) -> None:
        until = time.monotonic() + PATIENCE_S
        while self.said != lines:
            assert time.monotonic() < until, self.said
            time.sleep(0.5)


def compute_through_a_loss(executor: RayExecutor, cell: Cell, cluster: Cluster, lost: Node) -> None:
    """Compute a cell whose node is lost after its first point."""
    [group] = executor.groups()
    mapped = executor.prepared[inputs_key(cell)].mapped
    job = executor.run_context.job(cell, read_test=False)
    shared = SharedCell(job=job, mapped=mapped, storage=executor.where.storage)
    in_group = CellInGroup(job, ray.put(shared))
    group.next_report(in_group, pytest.fail)
    assert in_group.outcome is None
    cluster.remove_node(lost, allow_graceful=False)
    while in_group.outcome is None:
        group.next_report(in_group, pytest.fail)


def test_the_bits_stay_when_a_node_is_lost_and_another_one_comes(
    cluster: Cluster, tiny: Experiment, tmp_path: Path
) -> None:
    """Four workers, with BatchNorm, which would tell any other number of them."""
    student = SmallResNet(width=8, stem_stride=2)
    schedule = replace(tiny.schedule, batch=16, evaluations=2)
    experiment = replace(tiny, student=student, schedule=schedule)
    cells = [Cell(experiment=experiment, block=Block(seed=seed)) for seed in (3, 4)]
    lost, console = cluster.add_node(num_cpus=2), Lines()
    storages = [FolderStorage(tmp_path / name) for name in ("four", "two", "again")]
    where = Compute(storage=storages[0], workers=4, least_workers=2)
    with ray_executor(cells[:1], where, console) as executor:
        jobs = [executor.run_context.job(cell, read_test=False) for cell in cells]
        executor.compute("on four CPUs", jobs, lambda outcome: None)
        assert not console.said
        fewer = executor.apart(storages[1])
        compute_through_a_loss(fewer, cells[0], cluster, lost)
        fewer.compute("on two CPUs", jobs[1:], lambda outcome: None)
        assert console.said == ["2 CPU"]
        cluster.add_node(num_cpus=2)
        console.wait_for(["2 CPU", "4 CPU"])
        _, failures = executor.apart(storages[2]).compute("again", jobs, lambda outcome: None)
        assert not failures
    for job in jobs:
        assert job.environment.workers == 4
        first, *others = (Ledger(storage).weights(job.name) for storage in storages)
        assert all(torch.equal(first[key], other[key]) for other in others for key in first)
