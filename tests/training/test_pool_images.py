"""A pool's images are the same bits, whether they are mapped or stay in the pool's shards."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from dfkd.data.importing.shards import Shard, write_shard
from dfkd.data.pools import PoolFiles
from dfkd.data.pools.pool_images import GatheredImages, ShardImages, gathered, in_batches
from dfkd.scores import memory_map
from dfkd.scores.bn_distance import bn_distances
from dfkd.storage import FolderStorage
from dfkd.storage.storage import Damaged
from dfkd.testing.runs import run_of, same, small_experiment, small_inputs
from dfkd.training.inputs import Inputs, InputSource, load, score_here


@pytest.fixture
def staying(tmp_path: Path) -> Inputs:
    """The small inputs, with images in three shards that are read a few rows at a time."""
    inputs = small_inputs()
    images_NHWC = np.asarray(inputs.images_NHWC)
    parts = enumerate((slice(0, 90), slice(90, 91), slice(91, 200)))
    shards = [
        write_shard(tmp_path / f"{i}.parquet", inputs.scores.row_id_N[part], images_NHWC[part])
        for i, part in parts
    ]
    return replace(inputs, images_NHWC=ShardImages(PoolFiles(tuple(shards)), images_NHWC.shape[1:]))


@pytest.fixture(autouse=True)
def few_rows_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfkd.data.importing.shards.READ_TOGETHER", 7 * 16 * 16)


@pytest.mark.parametrize("in_memory", [2**30, 0], ids=["memory", "a file"])
def test_a_run_on_gathered_rows_has_the_same_weights(staying, in_memory, monkeypatch):
    monkeypatch.setattr("dfkd.data.pools.pool_images.IN_MEMORY", in_memory)
    mapped, own = run_of(small_experiment()), run_of(small_experiment(), staying)
    images = own.inputs.images_NHWC
    assert isinstance(images, GatheredImages) and isinstance(images.images_MHWC, np.ndarray)
    assert isinstance(images.images_MHWC, np.memmap) == (in_memory == 0)
    assert len(images.images_MHWC) == 64 + len(own.inputs.probe.rows_P) < len(images)
    for run in (mapped, own):
        run.advance(8)
    assert same(own.state(), mapped.state()) and own.evaluate() == mapped.evaluate()


def test_images_are_indexed_as_an_array_is(staying):
    images, expected = staying.images_NHWC, np.asarray(small_inputs().images_NHWC)
    assert images.shape == expected.shape and len(images) == len(expected)
    for rows in (5, -1, slice(80, 100), np.array([199, 3, 3, 90]), np.array([], np.int64)):
        assert np.array_equal(images[rows], expected[rows])
    with pytest.raises(IndexError):
        images[200]
    with pytest.raises(IndexError, match="not gathered"):
        gathered(images, np.array([3, 90]))[np.array([3, 4])]


def test_batches_in_order_are_those_of_an_array(staying):
    rows_R = np.delete(np.arange(200), [0, 17, 95])
    for images in (staying.images_NHWC, small_inputs().images_NHWC):
        batches = list(in_batches(images, rows_R, 64))
        assert [len(batch) for batch in batches] == [64, 64, 64, 5]
        assert (np.concatenate(batches) == small_inputs().images_NHWC[rows_R]).all()


def test_distances_to_batch_norm_are_the_same(staying):
    teacher, task = staying.teacher, small_experiment().task
    found, expected = (
        bn_distances(teacher, inputs.images_NHWC, task, "cpu")
        for inputs in (staying, small_inputs())
    )
    assert (found == expected).all()


def test_a_shard_with_other_pixels_is_not_used(staying):
    shard: Shard = staying.images_NHWC.pool.shards[2]
    others = np.asarray(staying.images_NHWC[91:])
    others[40] ^= 1
    write_shard(shard.path, staying.scores.row_id_N[91:], others)
    table = pq.read_table(shard.path).replace_schema_metadata({"digest": shard.digest})
    pq.write_table(table, shard.path)
    with pytest.raises(Damaged, match=r"2\.parquet"):
        gathered(staying.images_NHWC, np.array([150]))


def test_a_large_pool_is_not_copied(source: InputSource, inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(memory_map, "MOST_MAPPED", 0)
    storage = FolderStorage(tmp_path)
    score_here(source, storage)
    loaded = load(source, storage)
    assert isinstance(loaded.images_NHWC, ShardImages)
    assert not list(tmp_path.glob("packs/*/images*"))
    rows_R = np.array([599, 0, 300])
    assert (loaded.images_NHWC[rows_R] == inputs.images_NHWC[rows_R]).all()
    assert (loaded.scores.logits_NK == inputs.scores.logits_NK).all()
