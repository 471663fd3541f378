"""Scores: the teacher's answer, computed once, found by content, resumed shard by shard.

N rows, K classes.
"""

import dataclasses
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dfkd.data.images.transforms import to_tensor
from dfkd.data.importing.shards import write_shard
from dfkd.data.pools import ParquetPool, PoolFiles, read_shard
from dfkd.data.tasks import Digits
from dfkd.models.networks import SmallResNet
from dfkd.models.teachers import TeacherFile
from dfkd.scores import (
    Scorer,
    Scores,
    missing_shards,
    read_scores,
    score_images,
    score_path,
    score_shard,
    scores_of,
)
from dfkd.storage import FolderStorage, file_at

TASK = Digits()
NAMES = [  # what score files hold
    field.name for field in dataclasses.fields(Scores) if field.name != "bn_distance_N"
]


@pytest.fixture(scope="module")
def pool(tmp_path_factory) -> PoolFiles:
    """Three shards of 300, 20 and 1 real images."""
    folder = tmp_path_factory.mktemp("pool")
    images = TASK.train().images
    for name, start, stop in (("a", 0, 300), ("b", 300, 320), ("c", 320, 321)):
        write_shard(folder / f"{name}.parquet", np.arange(start, stop) * 7, images[start:stop])
    return ParquetPool(path=str(folder)).files(
        TASK.image_shape, FolderStorage(tmp_path_factory.mktemp("memory"))
    )


def scored(pool: PoolFiles, source, storage: Path) -> Scores:
    where = FolderStorage(storage)
    files = [score_shard(where, Scorer(source.teacher, TASK), shard) for shard in pool.shards]
    return read_scores([file.path for file in files])


def equal(one: Scores, other: Scores) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in NAMES)


# ---- the columns


def test_columns_follow_from_the_logits():
    logits_NK = np.random.default_rng(0).normal(size=(50, 10)).astype(np.float32) * 3
    scores = scores_of(np.arange(50), logits_NK, np.zeros((50, 4), dtype=np.float32))
    for row in range(50):
        p = np.exp(logits_NK[row].astype(np.float64))
        p /= p.sum()
        assert scores.pseudo_label_N[row] == p.argmax()
        assert scores.confidence_N[row] == pytest.approx(p.max(), rel=1e-6)
        assert scores.entropy_N[row] == pytest.approx(-(p * np.log(p)).sum(), rel=1e-5, abs=1e-6)
        second, first = np.sort(logits_NK[row])[-2:]
        assert scores.margin_N[row] == pytest.approx(first - second, rel=1e-6)


def test_very_sure_answers_stay_finite():
    logits_NK = np.array([[1e4, 0, -1e4], [80, 79, 0]], dtype=np.float32)
    scores = scores_of(np.arange(2), logits_NK, np.zeros((2, 4), dtype=np.float32))
    assert scores.confidence_N[0] == 1 and scores.entropy_N[0] == 0
    assert all(np.isfinite(getattr(scores, name)).all() for name in NAMES)


def test_types_are_those_of_the_contract(inputs):
    types = {"row_id_N": np.int64, "pseudo_label_N": np.int64}
    for name in NAMES:
        assert getattr(inputs.scores, name).dtype == types.get(name, np.float32), name
    assert inputs.scores.logits_NK.shape == (600, 10)
    assert (len(inputs.scores), inputs.scores.classes) == (600, 10)


def test_take_keeps_the_order_that_is_asked_for(inputs):
    part = inputs.scores.take(np.array([5, 2, 9]))
    assert part.row_id_N.tolist() == [5, 2, 9]
    assert (part.logits_NK == inputs.scores.logits_NK[[5, 2, 9]]).all()


# ---- the teacher's answer


def test_the_teacher_is_in_eval_mode_and_images_are_clean(inputs, source):
    module = source.teacher.build(TASK).eval()
    with torch.no_grad():
        logits_NK = module(to_tensor(inputs.images_NHWC[:32], TASK)).numpy()
    np.testing.assert_allclose(inputs.scores.logits_NK[:32], logits_NK, atol=1e-4)
    head = list(module.modules())[-1]
    again_NK = (
        inputs.scores.features_ND @ head.weight.detach().numpy().T + head.bias.detach().numpy()
    )
    np.testing.assert_allclose(inputs.scores.logits_NK, again_NK, atol=1e-4)


def test_an_image_has_the_same_bits_in_the_same_place_of_any_pool(source):
    images = TASK.train().images
    logits_NK, features_ND = score_images(source.teacher, images[:700], TASK, "cpu")
    # two whole batches
    fewer_NK, fewer_ND = score_images(source.teacher, images[:512], TASK, "cpu")
    assert (logits_NK[:512] == fewer_NK).all() and (features_ND[:512] == fewer_ND).all()


# ---- files


def test_what_is_read_is_what_was_scored_in_the_order_of_the_shards(pool, source, tmp_path):
    scores = scored(pool, source, tmp_path)
    assert scores.row_id_N.tolist() == [7 * row for row in range(321)]
    parts = [read_shard(shard.path, TASK.image_shape) for shard in pool.shards]
    logits_NK = np.concatenate(
        [score_images(source.teacher, images, TASK, "cpu")[0] for _, images in parts]
    )
    assert (scores.logits_NK == logits_NK).all()
    assert equal(scores, scored(pool, source, tmp_path))


def test_scoring_goes_on_where_it_stopped(pool, source, tmp_path):
    digest = source.teacher.digest
    assert missing_shards(FolderStorage(tmp_path), digest, pool, TASK) == list(pool.shards)
    score_shard(FolderStorage(tmp_path), Scorer(source.teacher, TASK), pool.shards[1])
    assert missing_shards(FolderStorage(tmp_path), digest, pool, TASK) == [
        pool.shards[0],
        pool.shards[2],
    ]
    scored(pool, source, tmp_path)
    assert missing_shards(FolderStorage(tmp_path), digest, pool, TASK) == []


def test_an_interrupted_file_is_not_there(pool, source, tmp_path, monkeypatch):
    monkeypatch.setattr("dfkd.scores.scores.pq.write_table", _dies)
    with pytest.raises(KeyboardInterrupt):
        score_shard(FolderStorage(tmp_path), Scorer(source.teacher, TASK), pool.shards[0])
    assert missing_shards(FolderStorage(tmp_path), source.teacher.digest, pool, TASK) == list(
        pool.shards
    )
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def _dies(table, path, **_: object) -> None:
    path.write_bytes(b"half")
    raise KeyboardInterrupt


def test_the_same_shard_and_teacher_elsewhere_have_the_same_scores(pool, source, tmp_path):
    one, other = (
        score_path(FolderStorage(tmp_path / name), source.teacher.digest, pool.shards[0], TASK)
        for name in "ab"
    )
    assert one.relative_to(tmp_path / "a") == other.relative_to(tmp_path / "b")
    moved = replace(pool.shards[0], file=file_at(tmp_path / "moved"))
    assert score_path(FolderStorage(tmp_path / "a"), source.teacher.digest, moved, TASK) == one


@dataclass(frozen=True, kw_only=True)
class Darker(Digits):
    mean = (0.5,)


def test_another_teacher_shard_or_preprocessing_has_other_scores(
    pool, source, tmp_path, monkeypatch
):
    digest, shard = source.teacher.digest, pool.shards[0]
    paths = {
        score_path(FolderStorage(tmp_path), digest, shard, TASK),
        score_path(FolderStorage(tmp_path), digest[:-1] + "x", shard, TASK),
        score_path(FolderStorage(tmp_path), digest, pool.shards[1], TASK),
        score_path(FolderStorage(tmp_path), digest, shard, Darker()),
    }
    monkeypatch.setattr("dfkd.scores.scores.VERSION", 2)
    paths.add(score_path(FolderStorage(tmp_path), digest, shard, TASK))
    assert len(paths) == 5


def test_the_same_weights_with_another_stride_have_other_scores(
    pool, source, tmp_path, source_storage
):
    [path] = source_storage.rglob("teacher.safetensors")
    teachers = [
        TeacherFile(path=str(path), network=SmallResNet(width=8, stem_stride=stride)).obtain(
            TASK, FolderStorage(tmp_path)
        )
        for stride in (1, 2)
    ]
    first, second = (
        read_scores([score_shard(FolderStorage(tmp_path), Scorer(t, TASK), pool.shards[1]).path])
        for t in teachers
    )
    assert not equal(first, second)
    assert equal(second, scored(pool, source, tmp_path).take(np.arange(300, 320)))
