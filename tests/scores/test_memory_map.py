"""Packs: the shards and their scores as memory maps, whole or not there. N rows."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dfkd.data.importing.shards import write_shard
from dfkd.data.pools import ParquetPool, Shard, read_shard
from dfkd.scores import read_scores, score_path
from dfkd.scores.memory_map import memory_map_key, open_memory_map, write_memory_map
from dfkd.storage import FolderStorage
from dfkd.training.inputs import InputSource, memory_map_of, score_here


@pytest.fixture(scope="module")
def three_shards(
    source: InputSource, tmp_path_factory: pytest.TempPathFactory
) -> tuple[InputSource, Path]:
    """A pool of 23 rows in three files, scored."""
    folder = tmp_path_factory.mktemp("pack")
    rng = np.random.default_rng(0)
    for index, rows in enumerate((10, 1, 12)):
        images_NHWC = rng.integers(0, 256, (rows, *source.task.image_shape), dtype=np.uint8)
        write_shard(
            folder / "pool" / f"{index}.parquet", 100 * index + np.arange(rows), images_NHWC
        )
    pool = ParquetPool(path=str(folder / "pool")).files(
        source.task.image_shape, FolderStorage(folder)
    )
    result = replace(source, pool=pool)
    score_here(result, FolderStorage(folder))
    return result, folder


def write(source: InputSource, storage: Path) -> Path:
    return write_memory_map(FolderStorage(storage), source.teacher.digest, source.pool, source.task)


def test_a_pack_holds_what_the_shards_and_the_score_files_hold(three_shards):
    source, storage = three_shards
    images_NHWC, scores = open_memory_map(write(source, storage), source.pool, source.task)
    paths = [
        score_path(FolderStorage(storage), source.teacher.digest, shard, source.task)
        for shard in source.pool.shards
    ]
    for name in scores.columns():
        got, expected = getattr(scores, name), getattr(read_scores(paths), name)
        assert got.dtype == expected.dtype and (got == expected).all(), name
    parts = [read_shard(shard.path, source.task.image_shape)[1] for shard in source.pool.shards]
    assert (images_NHWC == np.concatenate(parts)).all()
    with pytest.raises(ValueError, match="read-only"):
        images_NHWC[0] = 0


def test_what_is_interrupted_is_not_there_and_is_made_by_the_next(
    three_shards, tmp_path, monkeypatch
):
    source, storage = three_shards
    (tmp_path / "scores").symlink_to(storage / "scores")
    read = Shard.read

    def stops(shard: Shard, *shape):
        if shard.file.name == "2.parquet":
            raise KeyboardInterrupt
        return read(shard, *shape)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Shard, "read", stops)
        write(source, tmp_path)
    assert not list(tmp_path.glob("packs/*"))
    folder = write(source, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert write(source, tmp_path) == folder
    assert before == {path: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_other_images_or_another_teacher_are_another_pack(three_shards):
    source, _ = three_shards
    one = memory_map_key(source.teacher.digest, source.pool, source.task)
    fewer = replace(source.pool, shards=source.pool.shards[:2])
    assert one != memory_map_key(source.teacher.digest, fewer, source.task)
    assert one != memory_map_key("another", source.pool, source.task)


def test_what_travels_to_a_worker_is_small(three_shards):
    """The arrays stay where they are: a worker opens them there."""
    source, storage = three_shards
    mapped = replace(memory_map_of(source, FolderStorage(storage)), validation=None)
    assert len(pickle.dumps(mapped)) < len(pickle.dumps(source.teacher)) + 3000
    assert len(pickle.loads(pickle.dumps(mapped)).open().scores) == 23
