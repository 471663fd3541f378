"""Scoring on Ray Data: the bits of a scoring in this process, whatever fails on the way."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import moody_teacher
import pytest
from moody_teacher import FAILS, KILLS, KILLS_ONCE, ROWS, cell_of, pool_of

from dfkd.execution import scoring
from dfkd.execution.compute import Compute
from dfkd.execution.scoring import NotScored, score
from dfkd.execution.session import session
from dfkd.experiment import Experiment
from dfkd.reporting.failures import in_a_line
from dfkd.scores import missing_shards
from dfkd.storage import FolderStorage
from dfkd.training.inputs import InputSource, obtain, score_here

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def ray_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", str(Path(moody_teacher.__file__).parent))
        with session(Compute(storage=FolderStorage(tmp_path_factory.mktemp("session")))):
            yield


@pytest.fixture(autouse=True, params=[scoring.FEW, 0], ids=["few", "by Ray Data"])
def few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "FEW", request.param)


def files(storage: Path) -> dict[str, str]:
    """Return the digests of all score files by name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (storage / "scores").rglob("*.parquet")
    }


def missing(source: InputSource, storage: FolderStorage) -> list[str]:
    found = missing_shards(storage, source.teacher.digest, source.pool, source.task, source.cache)
    return [shard.file.name for shard in found]


def test_the_files_are_those_of_this_process_and_a_damaged_shard_is_set_aside(
    tiny: Experiment, tmp_path: Path
) -> None:
    pool = pool_of(tmp_path / "pool", [0, 1, 2])
    cell = cell_of(tiny, pool, tmp_path)
    here, there = FolderStorage(tmp_path / "here"), FolderStorage(tmp_path / "there")
    source = obtain(cell, here)
    score_here(source, here)
    damaged = (pool / "1.parquet").read_bytes()
    (pool / "1.parquet").write_bytes(damaged[:200] + b"x" * 200 + damaged[400:])
    rows = list[int]()
    with pytest.raises(NotScored) as raised:
        rows.extend(score(cell, source, Compute(storage=there)))
    said = in_a_line(raised.value)
    assert said.startswith("1 of 3 shards could not be scored, among them ")
    assert "1.parquet is damaged" in said and "\n" not in said
    assert missing(source, there) == ["1.parquet"]
    (pool / "1.parquet").write_bytes(damaged)
    assert list(score(cell, source, Compute(storage=there))) == [ROWS]
    assert (
        files(tmp_path / "here") == files(tmp_path / "there") and len(files(tmp_path / "here")) == 3
    )
    assert list(score(cell, source, Compute(storage=there))) == []


def test_a_shard_that_fails_in_all_attempts_is_set_aside_and_the_rest_is_scored(
    tiny: Experiment, tmp_path: Path
) -> None:
    """One meets an error of the system, one kills its process always and one only once."""
    pool = pool_of(tmp_path / "pool", [0, FAILS, 1, KILLS, 2, KILLS_ONCE])
    storage = FolderStorage(tmp_path / "runs")
    cell = cell_of(tiny, pool, tmp_path)
    source, rows = obtain(cell, storage), list[int]()
    with pytest.raises(NotScored) as raised:
        rows.extend(score(cell, source, Compute(storage=storage)))
    said = in_a_line(raised.value)
    assert said.startswith("2 of 6 shards could not be scored, among them ")
    assert "1.parquet (the device does not answer)" in said
    assert rows == [ROWS] * 4 and missing(source, storage) == ["1.parquet", "3.parquet"]
    for pixel, attempts in ((FAILS, 3), (KILLS, 3), (KILLS_ONCE, 2)):
        assert len(list(tmp_path.glob(f"{pixel}-*"))) == attempts
    assert not [path for path in (tmp_path / "runs").rglob("*") if path.name.startswith(".")]
