"""An empty environment variable is an unset one, whichever it is."""

from pathlib import Path

import pytest

from dfkd import cli
from dfkd.data.images.decoded import cache_folder
from dfkd.execution.compute import Compute
from dfkd.execution.session import worker_environment
from dfkd.storage import FolderStorage, open_storage
from dfkd.storage.variables import expanded, variable
from dfkd.tracking import Tracker
from dfkd.training import provenance


@pytest.fixture(params=["", "  ", None], ids=["empty", "blank", "unset"])
def nothing(request, monkeypatch, tmp_path):
    """`nothing("DFKD_STORAGE")`: the variable is empty or not set, the working folder is new."""
    monkeypatch.chdir(tmp_path)
    if request.param is None:
        return lambda name: monkeypatch.delenv(name, raising=False)
    return lambda name: monkeypatch.setenv(name, request.param)


def test_a_variable_that_is_set_is_read(monkeypatch) -> None:
    monkeypatch.setenv("DFKD_CACHE", "/somewhere")
    assert variable("DFKD_CACHE") == "/somewhere"
    assert cache_folder() == Path("/somewhere")


def test_the_storage(nothing, tmp_path: Path) -> None:
    nothing("DFKD_STORAGE")
    nothing("RAY_JOB_CONFIG_JSON_ENV_VAR")
    assert cli.chosen_storage(None) == open_storage(str(tmp_path / "runs"))


def test_the_cache(nothing) -> None:
    nothing("DFKD_CACHE")
    nothing("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "dfkd"


def test_the_commit(nothing, monkeypatch, tmp_path: Path) -> None:
    """Outside of a repository, as in a Ray job, where nobody has said which commit it is."""
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "provenance.py"))
    nothing("DFKD_GIT_COMMIT")
    assert provenance.commits() == {"git_commit": ""}
    monkeypatch.setenv("DFKD_GIT_COMMIT", "abc")
    assert provenance.commits() == {"git_commit": "abc"}


def test_the_tracking_server(nothing, tmp_path: Path) -> None:
    nothing("MLFLOW_TRACKING_URI")
    uri = Tracker(FolderStorage(tmp_path / "runs")).uri
    assert uri == f"sqlite:///{(tmp_path / 'runs').resolve()}/mlflow.db"


def test_the_cluster(nothing, tmp_path: Path) -> None:
    """Without an address the workers are this machine's: they get the driver's sources."""
    nothing("RAY_ADDRESS")
    compute = Compute(storage=FolderStorage(tmp_path))
    assert "PYTHONPATH" in worker_environment(compute)


def test_a_home_that_nobody_knows_is_a_line() -> None:
    with pytest.raises(ValueError, match=r"'~nobody_here/pool' is not known here: write the path"):
        expanded("~nobody_here/pool")
    assert expanded("~/pool") == Path.home() / "pool"
    with pytest.raises(ValueError, match="write the path without '~'"):
        open_storage("~nobody_here/runs")
