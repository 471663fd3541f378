"""A storage may have any name: its database and artifacts lie inside it, and nowhere else."""

from pathlib import Path
from urllib.parse import urlparse

import pytest
from mlflow_records import outcome
from sqlalchemy.engine import make_url

from dfkd.storage import FolderStorage
from dfkd.tracking import Tracker, database_uri
from dfkd.tracking.address import database_file, without_credentials
from dfkd.tracking.reading import Tracked

NAMES = ("plain", "a?b", "a#b", "a:b", "a%41b", "me@home", "a b", "中文", "a?b/c#d/e&f=g")


@pytest.mark.parametrize("name", NAMES)
def test_the_database_is_the_one_in_the_storage(tmp_path: Path, name: str) -> None:
    file = tmp_path / name / "mlflow.db"
    uri = database_uri(file)
    assert make_url(uri).database == str(file) and database_file(uri) == file
    assert without_credentials(uri) == uri
    # MLflow makes this folder, by the path as it stands in the URI
    made = Path(uri.removeprefix("sqlite:///").split("?")[0]).parent
    assert made == file.parent or made == tmp_path


def test_addresses_of_ordinary_storages_are_what_they_were(tmp_path: Path) -> None:
    assert database_uri(tmp_path / "mlflow.db") == f"sqlite:///{tmp_path}/mlflow.db"


def test_runs_and_artifacts_stay_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    root, lines = tmp_path / "a?b" / "c#d e:f" / "g%41@h", list[str]()
    page = tmp_path / "index.html"
    page.write_text("<p>a report</p>", encoding="utf-8")
    tracker = Tracker(FolderStorage(root), warn=lines.append)
    parent = tracker.parent(
        kind="study", name="s", identity="study s", params={}, tags={"study": "s"}
    )
    tracker.cell(outcome(), parent, role="baseline", name="one", tags={})
    tracker.finish(parent, metrics={}, tables={}, files={"report/index.html": page})
    assert tracker.close() and lines == []
    tracked = Tracked(tracker.uri)
    assert tracked.names("study") == ["s"]
    assert [path.name for path in root.rglob("*.html")] == ["index.html"]
    assert {path.name for path in tmp_path.iterdir()} == {"a?b", "index.html"}
    assert urlparse(tracker.uri).scheme == "sqlite"
    capfd.readouterr()
