"""Cleaning leaves alone what does not carry our mark, wherever in a storage it lies.

And what a recorded cell was computed from, and what any process works with.
"""

import json
import os
import shutil
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from test_clean import age, clean_up, found, kinds, state, working

from dfkd.data.importing.shards import write_shard
from dfkd.data.pools.glyphs import Glyphs
from dfkd.reporting.console import Console
from dfkd.storage import FolderStorage, layout
from dfkd.storage.layout import Key
from dfkd.storage.lease import LEASE_S, using

PLACES = [*layout.FOLDERS, layout.TUNE_SCRATCH, layout.TRAIN_SCRATCH, layout.ARTIFACTS, Key("data")]


def users_files(folder: Path) -> None:
    """Of every kind that people keep: images, tables, weights, notes, hidden caches."""
    (folder / "deep" / "er").mkdir(parents=True)
    Image.new("L", (8, 8)).save(folder / "a.png")
    Image.new("L", (8, 8)).save(folder / "deep" / "er" / "b.png")
    pq.write_table(pa.table({"image": [b"x"], "row_id": [1]}), folder / "mine.parquet")
    np.save(folder / "array.npy", np.arange(3))
    for name in ("teacher.json", "pack.json", "pool.json", "record.json", "list.json"):
        (folder / name).write_text(json.dumps({"shards": 1, "teacher": "mine"}))
    for name in ("teacher.safetensors", "notes.txt", "lease.txt", f".{'0d' * 16}"):
        (folder / name).write_text("mine")


@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize("name", ["my_images", "0cae90170d3c29ae697d"])
def test_a_users_own_folder_stays_whatever_it_is_beside(
    storage: Path, place: Key, name: str
) -> None:
    users_files(storage / place / name)
    age(storage, 48)
    before = state(storage / place / name)
    assert found(storage)
    clean_up(storage)
    assert state(storage / place / name) == before


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_users_own_files_stay_directly_in_our_folders(storage: Path, place: Key) -> None:
    users_files(storage / place)
    age(storage, 48)
    clean_up(storage)
    assert all((storage / place / name).exists() for name in ("a.png", "mine.parquet", "notes.txt"))


@pytest.mark.parametrize("kind", ["pack", "pool", "teacher"])
@pytest.mark.parametrize("extra", ["notes.txt", "a.png", "mine.parquet", "more/notes.txt"])
def test_a_folder_of_ours_with_a_users_file_stays(storage: Path, kind: str, extra: str) -> None:
    for key in [key for of, key in found(storage) if of == kind]:
        path = storage / key / extra
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    assert kind not in kinds(storage)
    clean_up(storage)
    assert not [key for of, key in found(storage) if of == kind]


def test_a_file_beside_our_scores_stays(storage: Path) -> None:
    folders = {key.rsplit("/", 1)[0] for of, key in found(storage) if of == "scores"}
    for folder in folders:
        (storage / folder / "mine.parquet").write_text("mine")
    clean_up(storage)
    assert all((storage / folder / "mine.parquet").exists() for folder in folders)


# ---- what recorded cells were computed from


def shards_of(folder: Path) -> None:
    """A pool with our footers in a folder of the user's choice."""
    rng = np.random.default_rng(0)
    images_NHWC = rng.integers(0, 256, (20, 16, 16, 1), dtype=np.uint8)
    write_shard(folder / "a.parquet", np.arange(20), images_NHWC)


@pytest.mark.parametrize(
    ("param", "below"),
    [("pool.path", ""), ("pool.pools.1.path", ""), ("task.path", "a.parquet"), ("pool.path", "..")],
)
def test_a_place_that_a_recorded_cell_was_imported_from_stays(
    storage: Path, param: str, below: str
) -> None:
    folder = storage / "pools" / "mine"
    shards_of(folder)
    assert ("pool", "pools/mine") in found(storage)
    [cell] = (storage / "cells").iterdir()
    record = json.loads((cell / "record.json").read_text())
    record["params"][param] = os.path.normpath(folder / below)
    other = storage / "cells" / "other"
    other.mkdir()
    (other / "record.json").write_text(json.dumps(record))
    assert ("pool", "pools/mine") not in found(storage)
    clean_up(storage)
    assert (folder / "a.parquet").exists()


def test_a_teacher_that_a_recorded_cell_read_as_a_file_stays(storage: Path) -> None:
    [teacher] = [key for of, key in found(storage) if of == "teacher"]
    [cell] = (storage / "cells").iterdir()
    record = json.loads((cell / "record.json").read_text())
    record["params"]["teacher.path"] = str(storage / teacher / "teacher.safetensors")
    (cell / "record.json").write_text(json.dumps(record))
    assert "teacher" not in kinds(storage)


# ---- who works here


@pytest.mark.parametrize("key", ["cells/one", "sweeps/one", "retunings/one"])
def test_every_kind_of_lease_is_known(storage: Path, key: str) -> None:
    lease = FolderStorage(storage).lease(Key(key) / layout.LEASE)
    assert lease.acquire()
    assert working(storage) == [key.replace("s/", " ")]
    assert not set(kinds(storage)) & {"pack", "pool", "scores", "teacher"}
    lease.release()
    assert not working(storage) and {"pack", "pool"} <= set(kinds(storage))


def of_another_host(path: Path) -> None:
    lines = ["filelock/2", "pid=1", "host=elsewhere", "mode=lease", "token=1", "duration=60.0"]
    path.write_text("\n".join([*lines, "start=1"]) + "\n")
    os.utime(path, (time.time() + 3600,) * 2)  # by a clock that is an hour ahead


def test_a_lease_of_another_host_is_watched_before_anything_goes(
    storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dfkd.cleaning.terminal import clean

    class Saying(Console):
        said: ClassVar[list[str]] = []

        def warn(self, text: str) -> None:
            self.said.append(text)

        line = warn

    path = storage / ".in-use-elsewhere"
    of_another_host(path)
    assert working(storage) == ["a command"]
    ahead_s, now = [0.0], time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: now() + ahead_s[0])
    monkeypatch.setattr(time, "sleep", lambda s: ahead_s.__setitem__(0, ahead_s[0] + s))
    clean(FolderStorage(storage), 0, True, False, Saying(quiet=True))
    assert ahead_s[0] == pytest.approx(LEASE_S, abs=3)
    assert "process 1 on host elsewhere" in Saying.said[0]
    assert not path.exists() and not kinds(storage)


def test_cleaning_removes_nothing_while_a_command_works(storage: Path) -> None:
    before = state(storage)
    with using(FolderStorage(storage)):
        clean_up(storage)
    assert state(storage) == before


def test_a_pool_that_was_killed_on_its_way_goes(storage: Path) -> None:
    """Shards without the manifest that is written last."""
    Glyphs(rows=200).make_shard(0, (16, 16, 1), FolderStorage(storage))
    assert ("pool", "pools/glyphs-v1-200-16x16x1-draw0") in found(storage)
    shutil.rmtree(storage / "pools" / "glyphs-v1-200-16x16x1-draw0")
