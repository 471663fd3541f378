"""Where pools come from: folders, tars, object stores, torchvision, mixtures of all of these."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from small_pieces import png, write_images, write_tars

from dfkd.data.importing.sources import row_id_of
from dfkd.data.pools import (
    Glyphs,
    ImageFolder,
    MixedPool,
    ParquetPool,
    Pool,
    TorchvisionPool,
    WebDatasetTars,
    read_shard,
)
from dfkd.data.pools.mixture import mixed_ids
from dfkd.experiment.rebuild import experiment
from dfkd.scores import read_scores, score_path
from dfkd.storage import FolderStorage
from dfkd.training.inputs import InputSource, score_here

SHAPE = (16, 16, 1)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Thirty images in three folders."""
    return write_images(tmp_path / "images")


# ---- one mechanism: the same images from anywhere


@pytest.fixture
def everywhere(folder, tmp_path) -> dict[str, Pool]:
    """The same thirty images as a folder, in two tars, as encoded Parquet and in a store.

    The rows of the Parquet file have the folder's ids.
    """
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.png"))
    rows = {
        "row_id": [row_id_of(name.encode()) for name in names],
        "image": [(folder / n).read_bytes() for n in names],
    }
    (tmp_path / "parquet").mkdir()
    pq.write_table(pa.table(rows), tmp_path / "parquet" / "a.parquet")
    store = fsspec.filesystem("memory")
    for name in names:
        store.pipe(f"/bucket-{tmp_path.name}/{name}", (folder / name).read_bytes())
    return {
        "folder": ImageFolder(path=str(folder)),
        "uri": ImageFolder(path=f"file://{folder}"),
        "store": ImageFolder(path=f"memory://bucket-{tmp_path.name}"),
        "tars": WebDatasetTars(path=str(write_tars(tmp_path / "tars", folder))),
        "parquet": ParquetPool(path=str(tmp_path / "parquet")),
    }


def test_folder_tars_parquet_and_store_give_the_same_scores(everywhere, tiny, source, tmp_path):
    found = {}
    for name, pool in everywhere.items():
        of = InputSource(
            task=tiny.task, teacher=source.teacher, pool=pool.files(SHAPE, FolderStorage(tmp_path))
        )
        score_here(of, FolderStorage(tmp_path))
        found[name] = read_scores(
            [
                score_path(FolderStorage(tmp_path), of.teacher.digest, shard, tiny.task)
                for shard in of.pool.shards
            ]
        )
    first = found.pop("folder")
    assert len(first) == 30
    for name, scores in found.items():
        assert (scores.row_id_N == first.row_id_N).all(), name
        if name == "tars":  # another size of the last batch: other last bits
            np.testing.assert_allclose(scores.logits_NK, first.logits_NK, rtol=1e-4, atol=1e-4)
        else:
            assert (scores.logits_NK == first.logits_NK).all(), name


def test_files_that_come_and_go_renumber_nothing_and_are_imported_alone(
    folder, tmp_path, monkeypatch
):
    monkeypatch.setattr("dfkd.data.pools.image_folder.rows_per_shard", lambda shape: 10)
    pool = ImageFolder(path=str(folder))
    before = pool.files(SHAPE, FolderStorage(tmp_path))
    (folder / "z.png").write_bytes(png(99))
    todo = next(pool.builder(SHAPE, FolderStorage(tmp_path)).rounds())
    after = pool.files(SHAPE, FolderStorage(tmp_path))
    assert len(todo) == 1
    assert after.shards[:3] == before.shards
    assert after.rows == 31
    (folder / "z.png").unlink()
    assert pool.files(SHAPE, FolderStorage(tmp_path)) == before


def test_an_interrupted_import_goes_on_with_the_next_part(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("dfkd.data.pools.image_folder.rows_per_shard", lambda shape: 10)
    pool = ImageFolder(path=str(folder))
    whole = pool.files(SHAPE, FolderStorage(tmp_path / "whole"))
    work = pool.builder(SHAPE, FolderStorage(tmp_path / "parts"))
    work.make(2)
    made = {path: path.stat().st_mtime_ns for path in work.folder.root.glob("*-0000.parquet")}
    assert list(next(work.rounds())) == [0, 1]
    files = pool.files(SHAPE, FolderStorage(tmp_path / "parts"))
    assert files.digest == whole.digest
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in made.items())
    files.shards[0].path.unlink()
    assert (
        pool.files(SHAPE, FolderStorage(tmp_path / "parts")) == files
    )  # and what is lost is made again
    assert files.shards[0].path.is_file()


def test_records_that_were_cut_off_are_made_again(folder, tmp_path):
    storage = FolderStorage(tmp_path / "out")
    pool = ImageFolder(path=str(folder))
    whole = pool.files(SHAPE, storage)
    records = [*(tmp_path / "out").rglob("*.json")]
    assert records
    for record in records:
        record.write_bytes(b"")
    assert pool.files(SHAPE, storage).digest == whole.digest


def test_credentials_in_a_path_are_refused_and_not_repeated():
    for path in (
        "s3://KEY:SECRET@bucket/x",
        "s3://SECRET@bucket",
        "s3://bucket?secret_key=SECRET",
        "ftp://a:SECRET@b/c",
    ):
        with pytest.raises(ValueError, match="path must hold no credentials") as error:
            ImageFolder(path=path)
        assert "SECRET" not in str(error.value)
    assert ImageFolder(path="s3://bucket/x?region=eu-west-1").path


def test_folders_that_are_none_are_refused_and_nothing_is_written(tmp_path):
    for kind, path, match in [
        (ImageFolder, "absent", "can be listed"),
        (ImageFolder, "nothing://x", "pyarrow or fsspec"),
        (WebDatasetTars, str(tmp_path), "end in"),
    ]:
        with pytest.raises(ValueError, match=match) as error:
            kind(path=path).files(SHAPE, FolderStorage(tmp_path / "storage"))
        assert "\n" not in str(error.value)
        with pytest.raises(ValueError, match=match):
            kind(path=path).check(SHAPE)
    assert not (tmp_path / "storage").exists()
    (tmp_path / "empty" / "deeper").mkdir(parents=True)
    with pytest.raises(ValueError, match="a pool must have images"):
        ImageFolder(path=str(tmp_path / "empty")).files(SHAPE, FolderStorage(tmp_path / "storage"))


def test_more_rejects_than_allowed_stop_with_one_line(folder, tmp_path):
    for i in range(31):
        (folder / f"bad-{i}.jpg").write_bytes(b"<html>" + bytes(i))
    with pytest.raises(
        ValueError, match=r"31 of the 61 images .* more than most_rejected=0.5 .*31 not an image"
    ):
        ImageFolder(path=str(folder)).files(SHAPE, FolderStorage(tmp_path))
    assert (
        ImageFolder(path=str(folder), most_rejected=0.6).files(SHAPE, FolderStorage(tmp_path)).rows
        == 30
    )


# ---- torchvision


def test_torchvisions_data_sets_are_pools(tmp_path):
    pool = TorchvisionPool(name="FakeData", arguments=(("size", 12), ("image_size", (3, 20, 20))))
    row_ids, images = read_all(pool.files(SHAPE, FolderStorage(tmp_path)))
    assert row_ids == list(range(12))
    expected = pool.data_set()[5][0].convert("L").resize((16, 16), Image.Resampling.BILINEAR)
    assert (images[5, :, :, 0] == np.asarray(expected)).all()


def test_a_torchvision_pool_is_rebuilt_from_its_params(tiny):
    e = replace(
        tiny,
        pool=TorchvisionPool(
            name="FakeData", arguments=(("size", 12), ("image_size", (3, 20, 20)))
        ),
    )
    assert experiment(e.params()) == e


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"name": "Absent"}, "name must be that of a data set"),
        ({"name": "VisionTransformer"}, "name must be that of a data set"),
        ({"name": "FakeData", "arguments": (("sise", 3),)}, "sise"),
        ({"name": "CIFAR10", "path": "absent"}, "CIFAR10 .* from 'absent'"),
    ],
)
def test_what_torchvision_cannot_give_is_refused(tmp_path, given, match):
    with pytest.raises(ValueError, match=match) as error:
        TorchvisionPool(**given).files(SHAPE, FolderStorage(tmp_path / "storage"))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "storage").exists()


# ---- mixtures


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
            *read_all(ImageFolder(path=str(folder)).files(SHAPE, FolderStorage(tmp_path))),
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


def read_all(files) -> tuple[list[int], np.ndarray]:
    parts = [read_shard(shard.path, SHAPE) for shard in files.shards]
    return np.concatenate([part[0] for part in parts]).tolist(), np.concatenate(
        [part[1] for part in parts]
    )


def test_the_benchmark_of_a_million_rows_runs_with_few(tmp_path, monkeypatch, capsys):
    """In this process: what its steps cost is measured where it is run."""
    path = Path(__file__).parents[2] / "benchmarks" / "mixture_pool.py"
    specification = importlib.util.spec_from_file_location("mixture_pool", path)
    benchmark = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(benchmark)
    monkeypatch.setattr(benchmark, "apart", lambda step, *arguments: (0.0, 0.0, step(*arguments)))
    benchmark.run(1_000, tmp_path)
    assert "pool: 1000 images, 4 set aside (4 not an image)" in capsys.readouterr().out
