"""Scoring in actors with GPUs, for which CPU workers read ahead. Ray believes in a GPU here."""

from collections.abc import Iterator
from pathlib import Path

import moody_teacher
import pytest
import ray
from moody_teacher import FAILS, KILLS, KILLS_ONCE, ROWS, PretendedGpu, cell_of, pool_of

from dfkd.execution.scoring import NotScored, score
from dfkd.experiment import Experiment
from dfkd.reporting.failures import in_a_line
from dfkd.storage import FolderStorage
from dfkd.training.inputs import obtain, score_here

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def ray_session() -> Iterator[None]:
    folders = [str(Path(moody_teacher.__file__).parent), str(Path(__file__).parents[2])]
    environment = {"PYTHONPATH": ":".join(folders)}
    ray.init(
        address="local",
        num_cpus=2,
        num_gpus=1,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": environment},
    )
    yield
    ray.shutdown()


def test_the_files_are_those_of_this_process(tiny: Experiment, tmp_path: Path) -> None:
    cell = cell_of(tiny, pool_of(tmp_path / "pool", [0, 1, 2, 3, 4]), tmp_path)
    here, there = FolderStorage(tmp_path / "here"), FolderStorage(tmp_path / "there")
    source = obtain(cell, here)
    score_here(source, here)
    assert list(score(cell, source, PretendedGpu(storage=there, gpus=1))) == [ROWS] * 5
    names = [
        path.relative_to(tmp_path / "here") for path in (tmp_path / "here").rglob("scores/*/*")
    ]
    assert len(names) == 5
    for name in names:
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


def test_a_shard_that_kills_its_actor_costs_no_other_one(tiny: Experiment, tmp_path: Path) -> None:
    """Its neighbours in the actor die with it at first, and are scored in the second attempt."""
    pool = pool_of(tmp_path / "pool", [0, FAILS, 1, KILLS, 2, 3, KILLS_ONCE, 4])
    storage = FolderStorage(tmp_path / "runs")
    cell = cell_of(tiny, pool, tmp_path)
    source, rows = obtain(cell, storage), list[int]()
    with pytest.raises(NotScored) as raised:
        rows.extend(score(cell, source, PretendedGpu(storage=storage, gpus=1)))
    assert in_a_line(raised.value).startswith("2 of 8 shards could not be scored, among them ")
    assert len(list((tmp_path / "runs").rglob("scores/*/[!.]*"))) == 6  # a killed one leaves halves
    for pixel, attempts in ((FAILS, 3), (KILLS, 3), (KILLS_ONCE, 2)):
        assert len(list(tmp_path.glob(f"{pixel}-*"))) == attempts
