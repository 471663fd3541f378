"""Folders of images, labelled and not, and the cache of what was decoded."""

from pathlib import Path

import pytest
from image_trees import CLASSES, write_tree
from small_pieces import write_images

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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Thirty images in three folders."""
    return write_images(tmp_path / "images")
