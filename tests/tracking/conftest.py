"""One database of MLflow for all tests of the tracking, and a record of its own for each test."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from mlflow_records import Record

EXPERIMENTS = count()


@pytest.fixture(scope="package")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("storage")  # one database: setting it up takes seconds


@pytest.fixture
def record(
    storage: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Record]:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    record = Record(storage, f"experiment {next(EXPERIMENTS)}")
    yield record
    assert record.lines == []
    assert capfd.readouterr() == ("", "")  # MLflow and its database keep quiet, too
