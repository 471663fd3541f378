"""Mixtures of pools: exact shares, rows of their own pools, the same again."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_pieces import read_all

from dfkd.data.pools import Glyphs, ImageFolder, MixedPool, read_shard
from dfkd.data.pools.mixture import mixed_ids
from dfkd.experiment.rebuild import experiment
from dfkd.storage import FolderStorage

SHAPE = (16, 16, 1)


@pytest.fixture
def mixed(folder) -> MixedPool:
    return MixedPool(
        pools=(Glyphs(rows=200), ImageFolder(path=str(folder))), shares=(0.9, 0.1), rows=205
    )


def test_a_mixture_has_exactly_its_shares(mixed, tmp_path):
    assert mixed.counts == (185, 20)
    assert replace(mixed, shares=(1 / 3, 2 / 3), rows=100).counts == (33, 67)
    files = mixed.files(SHAPE, FolderStorage(tmp_path))
    tables = [pq.read_table(shard.path) for shard in files.shards]
    members = np.concatenate([table["member"].to_numpy() for table in tables])
    assert files.rows == 205
    assert np.bincount(members).tolist() == [185, 20]
    row_ids = np.concatenate([table["row_id"].to_numpy() for table in tables])
    assert len(np.unique(row_ids)) == 205
    assert row_ids.min() >= 0


def test_a_row_of_a_mixture_is_that_of_its_pool(mixed, folder, tmp_path):
    files = mixed.files(SHAPE, FolderStorage(tmp_path))
    own = dict(
        zip(
            *read_all(ImageFolder(path=str(folder)).files(SHAPE, FolderStorage(tmp_path)), SHAPE),
            strict=True,
        )
    )
    table, images = (
        pq.read_table(files.shards[-1].path),
        read_shard(files.shards[-1].path, SHAPE)[1],
    )
    from_folder = np.flatnonzero(table["member"].to_numpy() == 1)
    assert len(from_folder) == 20
    for row in from_folder:
        assert (images[row] == own[table["member_row_id"][int(row)].as_py()]).all()


def test_a_mixture_is_the_same_again_and_another_in_another_draw(mixed, tmp_path):
    files = mixed.files(SHAPE, FolderStorage(tmp_path / "one"))
    assert mixed.files(SHAPE, FolderStorage(tmp_path / "two")).digest == files.digest
    drawn = replace(mixed, pools=(Glyphs(rows=200), Glyphs(rows=100)))
    assert (
        drawn.files(SHAPE, FolderStorage(tmp_path / "one")).digest
        != drawn.files(SHAPE, FolderStorage(tmp_path / "one"), draw=1).digest
    )


def test_a_mixture_of_mixtures_and_its_rejects(mixed, folder, tmp_path):
    (folder / "bad.png").write_bytes(b"no image")
    outer = MixedPool(pools=(mixed, ImageFolder(path=str(folder))), shares=(0.8, 0.2), rows=100)
    files = outer.files(SHAPE, FolderStorage(tmp_path))
    assert (files.rows, files.set_aside.counts) == (100, (("not an image", 2),))  # in both


def test_a_mixture_without_enough_rows_is_refused(mixed, tmp_path):
    with pytest.raises(
        ValueError,
        match=r"pool 1 of the mixture, image_folder, must have 100 rows, .* got 30: .* 300",
    ):
        replace(mixed, rows=1000, pools=(Glyphs(rows=1000), mixed.pools[1])).files(
            SHAPE, FolderStorage(tmp_path)
        )


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
    changed = experiment(
        mixture.params(), {"pool.pools.0.rows": "300", "pool.shares": "(0.8, 0.2)"}
    )
    assert (changed.pool.pools[0].rows, changed.pool.shares) == (300, (0.8, 0.2))


def test_the_benchmark_of_a_million_rows_runs_with_few(tmp_path, monkeypatch, capsys):
    """In this process: what its steps cost is measured where it is run."""
    path = Path(__file__).parents[2] / "benchmarks" / "mixture_pool.py"
    specification = importlib.util.spec_from_file_location("mixture_pool", path)
    benchmark = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(benchmark)
    monkeypatch.setattr(benchmark, "apart", lambda step, *arguments: (0.0, 0.0, step(*arguments)))
    benchmark.run(1_000, tmp_path)
    assert "pool: 1000 images, 4 set aside (4 not an image)" in capsys.readouterr().out
