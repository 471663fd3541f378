"""Where pools come from: folders, tars, object stores, torchvision."""

from dataclasses import replace

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from small_pieces import png, read_all, write_tars

from dfkd.data.importing.sources import row_id_of
from dfkd.data.pools import ImageFolder, ParquetPool, Pool, TorchvisionPool, WebDatasetTars
from dfkd.experiment.rebuild import experiment
from dfkd.scores import read_scores, score_path
from dfkd.storage import FolderStorage
from dfkd.training.inputs import InputSource, score_here

SHAPE = (16, 16, 1)


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
    # and what is lost is made again
    assert pool.files(SHAPE, FolderStorage(tmp_path / "parts")) == files
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
    row_ids, images = read_all(pool.files(SHAPE, FolderStorage(tmp_path)), SHAPE)
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
