"""Labelled folders and their cache, for the tests of tasks that read them."""

from pathlib import Path

import pytest
from image_trees import CLASSES, write_tree

from dfkd.data.tasks.labelled_files import files_in


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache of decoded images, empty and of this test alone."""
    monkeypatch.setenv("DFKD_CACHE", str(tmp_path / "cache"))
    files_in.cache_clear()
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with three splits of three classes."""
    for seed, name in enumerate(("train", "val", "test")):
        write_tree(tmp_path / "images" / name, CLASSES, seed=seed)
    return tmp_path / "images"
