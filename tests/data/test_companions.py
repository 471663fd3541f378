"""What systems and tools leave beside images is passed over, alike by every reader of files."""

import os
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hostile_files import encoded, photo
from image_trees import labelled

from dfkd.data.importing.columns import raw_table
from dfkd.data.importing.companions import is_companion
from dfkd.data.pools import ParquetPool, WebDatasetTars
from dfkd.data.pools.image_folder import ImageFolder
from dfkd.storage import FolderStorage

SHAPE = (8, 8, 3)
COMPANIONS = (
    "._{name}",
    ".DS_Store",
    "Icon\r",
    "Thumbs.db",
    "desktop.ini",
    "~${name}",
    ".ipynb_checkpoints/{name}",
    ".git/objects/{name}",
    "@eaDir/{name}/SYNOPHOTO_THUMB_M.jpg",
    "__MACOSX/._{name}",
    "$RECYCLE.BIN/{name}",
    ".hidden.png",
)
IMAGES = ("..two dots.png", "a.b.png", "_under.png", "@home.png", "icon.png", "thumbs.png")


def beside(folder: Path, name: str) -> None:
    """Write all companions of a file, some of which are images by content."""
    for number, pattern in enumerate(COMPANIONS):
        path = folder / pattern.format(name=name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(photo(number), "PNG") if number % 2 else b"\0\5\x16\7 no image")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for number, name in enumerate(IMAGES):
        (tmp_path / "in" / "sub" / name).write_bytes(encoded(photo(100 + number), "PNG"))
    return tmp_path / "in"


@pytest.mark.parametrize("pattern", COMPANIONS)
def test_a_companion_is_known_at_any_depth(pattern):
    for below in ("", "a/", "a/b c/"):
        assert is_companion(os.fsencode(below + pattern.format(name="x.png")))


@pytest.mark.parametrize("name", [*IMAGES, "../x.png", "./x.png", "trash/x.png", "x.DS_Store"])
def test_an_odd_name_makes_no_companion(name):
    assert not is_companion(name.encode())


def test_a_folder_and_its_tar_are_the_same_pool_with_and_without_companions(folder, tmp_path):
    clean = ImageFolder(path=str(folder)).files(SHAPE, FolderStorage(tmp_path / "clean"))
    assert (clean.rows, clean.set_aside.counts) == (len(IMAGES), ())
    beside(folder, "a.png")
    beside(folder / "sub", "a.b.png")
    for storage in ("clean", "other"):  # in the storage that has the pool, and in another
        found = ImageFolder(path=str(folder)).files(SHAPE, FolderStorage(tmp_path / storage))
        assert (found.digest, found.set_aside.counts) == (clean.digest, ())
    (tmp_path / "tars").mkdir()
    with tarfile.open(tmp_path / "tars" / "0.tar", "w") as tar:
        tar.add(folder, arcname=".")
    beside(tmp_path / "tars", "0.tar")
    tars = WebDatasetTars(path=str(tmp_path / "tars")).files(SHAPE, FolderStorage(tmp_path))
    assert (tars.rows, tars.set_aside.counts) == (len(IMAGES), ())


def test_shards_of_parquet_have_companions_as_well(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (3, *SHAPE), dtype=np.uint8)
    (tmp_path / "in").mkdir()
    pq.write_table(raw_table(np.arange(3), pixels), tmp_path / "in" / "a.parquet")
    beside(tmp_path / "in", "a.parquet")
    pool = ParquetPool(path=str(tmp_path / "in"))
    pool.check(SHAPE)
    assert pool.files(SHAPE, FolderStorage(tmp_path / "out")).rows == 3


@pytest.mark.usefixtures("cache")
def test_labelled_images_are_counted_without_companions(root):
    before = labelled(root)
    beside(root, "train")
    beside(root / "train", "cat")
    beside(root / "train" / "cat", "001.png")
    after = labelled(root)
    assert (after, after.class_names) == (before, before.class_names)
    assert len(after.train()) == 9
