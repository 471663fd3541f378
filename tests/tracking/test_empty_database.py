"""A database that begins as a copy is the one that MLflow makes itself."""

import sqlite3
import threading
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.version import VERSION

from dfkd.storage import open_storage
from dfkd.tracking.address import database_uri
from dfkd.tracking.empty_database import begin_database
from dfkd.tracking.tracker import Tracker


def schema(file: Path) -> list[object]:
    """Its tables and indices; MLflow's migrations write a table's constraints in any order."""
    connection = sqlite3.connect(file)
    try:
        revision = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        made = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name")
        words = [
            (kind, name, sorted((sql or "").replace(",", " ").split())) for kind, name, sql in made
        ]
        return [*revision, *words]
    finally:
        connection.close()


def names(file: Path) -> list[str]:
    client = MlflowClient(tracking_uri=database_uri(file))
    client.create_experiment("mine")
    return sorted(experiment.name for experiment in client.search_experiments())


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_what_is_made_ready_lies_in_the_nodes_cache_alone(
    tmp_path: Path, cache: Path, monkeypatch
) -> None:
    monkeypatch.setenv("DFKD_CACHE", str(cache))
    before = set(threading.enumerate())
    Tracker(open_storage(tmp_path / "runs"), None).warm_up()
    for thread in set(threading.enumerate()) - before:
        thread.join()
    assert [path.name for path in cache.glob("*.db")] == [f"mlflow-{VERSION}.db"]
    assert not (tmp_path / "runs").exists()


def test_a_copied_database_is_mlflows_own(tmp_path: Path, cache: Path, monkeypatch) -> None:
    """Whether the node's cache has it already or not."""
    monkeypatch.setenv("DFKD_CACHE", str(cache))
    first, second, own = (tmp_path / name / "mlflow.db" for name in ("a", "b", "own"))
    for file in (first, second):
        begin_database(file)
        assert [path.name for path in file.parent.iterdir()] == ["mlflow.db"]
    for file in (first, second, own):
        assert names(file) == ["Default", "mine"]
    assert schema(first) == schema(second) == schema(own)


def test_a_database_that_is_there_stays(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    file.write_bytes(b"mine")
    begin_database(file)
    assert file.read_bytes() == b"mine"


@pytest.mark.parametrize("place", ["/proc/none", "a file"])
def test_without_a_cache_mlflow_makes_its_tables(tmp_path: Path, monkeypatch, place: str) -> None:
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("DFKD_CACHE", str(tmp_path / place))
    begin_database(tmp_path / "mlflow.db")
    assert [path.name for path in tmp_path.iterdir()] == ["a file"]
