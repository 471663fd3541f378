"""A lease's place, other processes that hold it, a clock, and an object store."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from leases import Clock, Holder

from dfkd.storage import FolderStorage
from dfkd.storage.layout import Key


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lease"


@pytest.fixture
def holder(path: Path) -> Iterator[Callable[[], Holder]]:
    started: list[Holder] = []

    def start() -> Holder:
        started.append(Holder(FolderStorage(path.parent), Key(path.name)))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.communicate()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)
