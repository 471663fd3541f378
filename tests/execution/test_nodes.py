"""A cluster of several nodes, real ones: each is asked before anything is scheduled."""

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster
from ray.util.placement_group import PlacementGroup

from dfkd.execution import watchdog
from dfkd.execution.checks.finding import SKIPPED
from dfkd.execution.checks.nodes import alive_nodes, findings
from dfkd.execution.compute import Compute
from dfkd.execution.ray_executor import ray_executor
from dfkd.execution.session import joined, session
from dfkd.experiment import Cell, Experiment
from dfkd.reporting.console import Console
from dfkd.seeding import Block
from dfkd.storage import FolderStorage
from dfkd.storage.lease import using

ROOT = Path(__file__).parents[2]
OTHER_TORCH = "Metadata-Version: 2.1\nName: torch\nVersion: 9.9.9\n"
EACH_ITS_OWN = FolderStorage(Path("/proc/self/cwd/runs"))  # another folder in another directory

pytestmark = pytest.mark.slow  # nodes take seconds to start, on a busy machine half a minute


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A head whose driver joins it, in a directory of its own; nodes are added by tests."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(_made(tmp_path / "head"))
    options = {"num_cpus": 1, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=options)
    monkeypatch.setenv("RAY_ADDRESS", made.address)
    try:
        yield made
    finally:
        made.shutdown()


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def add_node(cluster: Cluster, folder: Path, *python_path: Path) -> None:
    """Add a node that was started in this directory, with these first on its path."""
    with pytest.MonkeyPatch.context() as there:
        there.chdir(folder)
        there.setenv("PYTHONPATH", os.pathsep.join(map(str, (*python_path, ROOT))))
        cluster.add_node(num_cpus=1)


def test_a_node_that_sees_another_folder_is_named(cluster: Cluster, tmp_path: Path) -> None:
    add_node(cluster, _made(tmp_path / "other"))
    with (
        pytest.raises(ValueError, match=r"^the node \S+ \(host .*\) does not see what") as told,
        session(Compute(storage=EACH_ITS_OWN)),
    ):
        pass
    assert "/proc/self/cwd/runs: the storage has to be one that all nodes see" in str(told.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_other_versions_and_what_no_machine_holds(cluster: Cluster, tmp_path: Path) -> None:
    site = _made(tmp_path / "site" / "torch-9.9.9.dist-info").parent
    (site / "torch-9.9.9.dist-info" / "METADATA").write_text(OTHER_TORCH)
    add_node(cluster, Path.cwd(), site)
    compute = Compute(storage=FolderStorage(tmp_path / "runs"))
    with (
        pytest.raises(ValueError, match=r"^the node .* has torch 9\.9\.9 \(here 2"),
        session(compute),
    ):
        pass
    too_many = replace(compute, cpus=2)
    with (
        pytest.raises(ValueError, match=r"2 CPU on one machine, .* at most 1 CPU"),
        session(too_many),
    ):
        pass


class Lines(Console):
    """Keeps what is said, and lets go of the CPU that is waited for when that was said twice."""

    def __init__(self, held: PlacementGroup) -> None:
        super().__init__(quiet=True)
        self.said, self.held = list[str](), held

    def line(self, text: str) -> None:
        self.said.append(text)
        if self.said[1:]:
            ray.util.remove_placement_group(self.held)


def test_a_busy_cluster_is_waited_for_aloud(
    cluster: Cluster, tiny: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "QUIET_S", 2.0)
    ray.init(address=cluster.address, log_to_driver=False)
    held = ray.util.placement_group([{"CPU": 1}], lifetime="detached")
    assert held.wait(60)
    ray.shutdown()
    console, cell = Lines(held), Cell(experiment=tiny, block=Block(seed=0))
    with ray_executor([cell], Compute(storage=FolderStorage(tmp_path / "runs")), console):
        pass
    first = console.said[0]
    assert re.match(r"nothing has ended for \d+ s: a first worker runs or waits for 1 CPU", first)
    assert first.endswith("the cluster has 0 of 1 CPU free")


def test_a_node_that_is_lost_while_it_is_asked_stops_nothing(
    cluster: Cluster, tmp_path: Path
) -> None:
    """No cell will be computed there; the others are asked as ever."""
    leaving = cluster.add_node(num_cpus=1)
    with joined(Compute(storage=FolderStorage(tmp_path))), using(FolderStorage(tmp_path)) as key:
        nodes = alive_nodes()
        cluster.remove_node(leaving)
        found = findings(FolderStorage(tmp_path), key, nodes)
    assert len(nodes) == 2 and not [one for one in found if one.mend]
    assert [one.said.split(") ")[1] for one in found if one.state == SKIPPED] == [
        "was lost while it was asked"
    ]
