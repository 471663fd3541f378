"""Where pools come from: folders, tars, object stores, torchvision's data sets, mixtures of all of these."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dfkd.data.mixture import mixed_ids
from dfkd.data.pools import Glyphs, ImageFolder, MixedPool, read_shard
from dfkd.rebuild import experiment

SHAPE = (16, 16, 1)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Thirty images in three folders."""
    for i in range(30):
        path = tmp_path / "images" / "abc"[i % 3] / f"{i:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(i))
    return tmp_path / "images"


def png(seed: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 24), np.uint8)).save(file, "PNG")
    return file.getvalue()


# ---- mixtures


@pytest.fixture
def mixed(folder) -> MixedPool:
    return MixedPool(pools=(Glyphs(rows=200), ImageFolder(path=str(folder))), shares=(0.9, 0.1), rows=205)


def test_a_mixture_has_exactly_its_shares(mixed, tmp_path):
    assert mixed.counts == (185, 20)
    assert replace(mixed, shares=(1 / 3, 2 / 3), rows=100).counts == (33, 67)
    files = mixed.files(SHAPE, tmp_path)
    tables = [pq.read_table(shard.path) for shard in files.shards]
    members = np.concatenate([table["member"].to_numpy() for table in tables])
    assert files.rows == 205
    assert np.bincount(members).tolist() == [185, 20]
    row_ids = np.concatenate([table["row_id"].to_numpy() for table in tables])
    assert len(np.unique(row_ids)) == 205
    assert row_ids.min() >= 0


def test_a_row_of_a_mixture_is_that_of_its_pool(mixed, folder, tmp_path):
    files = mixed.files(SHAPE, tmp_path)
    own = dict(zip(*read_all(ImageFolder(path=str(folder)).files(SHAPE, tmp_path)), strict=True))
    table, images = pq.read_table(files.shards[-1].path), read_shard(files.shards[-1].path, SHAPE)[1]
    from_folder = np.flatnonzero(table["member"].to_numpy() == 1)
    assert len(from_folder) == 20
    for row in from_folder:
        assert (images[row] == own[table["member_row_id"][int(row)].as_py()]).all()


def test_a_mixture_is_the_same_again_and_another_in_another_draw(mixed, tmp_path):
    files = mixed.files(SHAPE, tmp_path / "one")
    assert mixed.files(SHAPE, tmp_path / "two").digest == files.digest
    drawn = replace(mixed, pools=(Glyphs(rows=200), Glyphs(rows=100)))
    assert drawn.files(SHAPE, tmp_path / "one").digest != drawn.files(SHAPE, tmp_path / "one", draw=1).digest


def test_a_mixture_of_mixtures_and_its_rejects(mixed, folder, tmp_path):
    (folder / "bad.png").write_bytes(b"no image")
    outer = MixedPool(pools=(mixed, ImageFolder(path=str(folder))), shares=(0.8, 0.2), rows=100)
    files = outer.files(SHAPE, tmp_path)
    assert (files.rows, files.set_aside.counts) == (100, (("not an image", 2),))  # in both


def test_a_mixture_without_enough_rows_is_refused(mixed, tmp_path):
    with pytest.raises(ValueError, match=r"pool 1 of the mixture, image_folder, must have 100 rows, .* got 30: .* 300"):
        replace(mixed, rows=1000, pools=(Glyphs(rows=1000), mixed.pools[1])).files(SHAPE, tmp_path)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"shares": (0.5, 0.4)}, "add up to 1"),
        ({"shares": (1.0, 0.0)}, "above 0"),
        ({"shares": (1.0,)}, "a share for each pool"),
        ({"rows": 1}, "rows must be 2 or more"),
    ],
)
def test_shares_that_cannot_be_meant_are_refused(mixed, wrong, match):
    with pytest.raises(ValueError, match=match):
        replace(mixed, **wrong)


def test_mixed_ids_do_not_meet():
    ids = np.concatenate([mixed_ids(m, np.arange(100_000)) for m in range(2)])
    assert len(np.unique(ids)) == len(ids)


def test_a_mixture_is_rebuilt_from_its_params(tiny, mixed):
    mixture = replace(tiny, pool=mixed)
    assert experiment(mixture.params()) == mixture
    assert mixture.params()["pool.pools.1"] == "image_folder"
    changed = experiment(mixture.params(), {"pool.pools.0.rows": "300", "pool.shares": "(0.8, 0.2)"})
    assert (changed.pool.pools[0].rows, changed.pool.shares) == (300, (0.8, 0.2))


def read_all(files) -> tuple[list[int], np.ndarray]:
    parts = [read_shard(shard.path, SHAPE) for shard in files.shards]
    return np.concatenate([part[0] for part in parts]).tolist(), np.concatenate([part[1] for part in parts])
