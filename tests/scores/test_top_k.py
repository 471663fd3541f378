"""Top-k caches: what is kept of an answer, what comes back, and that all readers read it.

N rows, B some of them, K classes.
"""

import shutil
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from dfkd.experiment import Cell, Experiment
from dfkd.experiment.rebuild import changed, experiment
from dfkd.method.losses import KD
from dfkd.method.selection import SELECTIONS, Dynamic
from dfkd.method.selection.selecting import select
from dfkd.scores import Scores, missing_shards, read_scores, score_path, scores_of
from dfkd.scores.disk_space import Need
from dfkd.scores.top_k import TopK, TopLogits
from dfkd.seeding import Block
from dfkd.storage import FolderStorage
from dfkd.training.cells import compute
from dfkd.training.distill import Inputs
from dfkd.training.inputs import InputSource, check_space, inputs_key, load, obtain, score_here
from dfkd.training.jobs import Job

ROWS, CLASSES, WIDTH = 400, 100, 16
RNG = np.random.default_rng(0)
# A teacher that is sure of some rows and torn between a few classes on others
LOGITS_NK = (
    RNG.normal(size=(ROWS, CLASSES)) + RNG.exponential(2, size=(ROWS, CLASSES)) + 7
).astype(np.float32)


def reference(logits_NK: Any, k: int) -> Any:
    """Row by row, in float64, from the definition; without float16."""
    result_NK = np.empty(logits_NK.shape)
    for row, logits_K in enumerate(logits_NK.astype(np.float64)):
        top = sorted(range(len(logits_K)), key=lambda j: (-logits_K[j], j))[:k]
        rest = [j for j in range(len(logits_K)) if j not in top]
        result_NK[row, top] = logits_K[top]
        if rest:
            result_NK[row, rest] = np.logaddexp.reduce(logits_K[rest]) - np.log(len(rest))
    return result_NK


def softmax(logits_NK: Any) -> Any:
    e_NK = np.exp(logits_NK.astype(np.float64) - logits_NK.max(axis=1, keepdims=True))
    return e_NK / e_NK.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("k", [1, 2, 10, 99, 100])
def test_what_comes_back_is_the_definition_up_to_half_precision(k: int) -> None:
    kept = TopK(k=k).kept(LOGITS_NK)
    got_NK = kept[:]
    assert (
        got_NK.shape == kept.shape == LOGITS_NK.shape and got_NK.dtype == kept.dtype == np.float32
    )
    below_NK = LOGITS_NK.max(axis=1, keepdims=True) - LOGITS_NK
    assert (np.abs(got_NK - reference(LOGITS_NK, k)) <= 1e-5 + 2.0**-11 * below_NK.max()).all()
    np.testing.assert_array_equal(got_NK.max(axis=1), LOGITS_NK.max(axis=1))
    np.testing.assert_array_equal(got_NK.argmax(axis=1), LOGITS_NK.argmax(axis=1))
    # at temperature 1 the kept classes keep their probabilities, and so the others together theirs
    top_NJ = np.argsort(-LOGITS_NK, axis=1)[:, :k]
    ours, theirs = (np.take_along_axis(softmax(x), top_NJ, axis=1) for x in (got_NK, LOGITS_NK))
    np.testing.assert_allclose(ours, theirs, atol=2e-3)
    np.testing.assert_allclose(ours.sum(axis=1), theirs.sum(axis=1), atol=2e-3)


def test_rows_come_back_however_they_are_asked_for() -> None:
    kept = TopK(k=7).kept(LOGITS_NK)
    whole_NK, rows_B = kept[:], np.array([3, 399, 3, 0])
    for index in (rows_B, slice(5, 9), np.arange(ROWS) % 3 == 0, 11):
        np.testing.assert_array_equal(kept[index], whole_NK[index])
    assert kept[np.array([], dtype=np.int64)].shape == (0, CLASSES)
    some = kept.take(rows_B)
    assert isinstance(some, TopLogits) and len(some) == 4
    np.testing.assert_array_equal(some[:], whole_NK[rows_B])


def test_of_equal_logits_the_first_classes_are_kept() -> None:
    logits_NK = RNG.integers(0, 3, (50, CLASSES)).astype(np.float32)
    for logits_K, kept_J in zip(logits_NK, TopK(k=60).kept(logits_NK).top_class_NJ, strict=True):
        assert kept_J.tolist() == sorted(range(CLASSES), key=lambda j: (-logits_K[j], j))[:60]


def test_who_wants_the_whole_table_is_told_in_one_line() -> None:
    kept = TopK(k=7).kept(LOGITS_NK)
    for asks in (lambda: np.asarray(kept), lambda: np.exp(kept), lambda: LOGITS_NK - kept):
        with pytest.raises(
            ValueError,
            match=r"^all 400 x 100 logits .* keeps the 7 largest of each row.*cache=none$",
        ):
            asks()


def test_extreme_answers_stay_finite() -> None:
    logits_NK = np.array(
        [[3e4, -3e4, -3e4, -3e4], [0, 0, 0, 0], [1e5, 0, -1e5, 5]], dtype=np.float32
    )
    for k in (1, 2, 4):
        got_NK = TopK(k=k).kept(logits_NK)[:]
        assert np.isfinite(got_NK).all()
        np.testing.assert_allclose(softmax(got_NK), softmax(reference(logits_NK, k)), atol=1e-3)


@pytest.mark.parametrize(
    ("temperature", "k", "loss_apart", "least_cosine"),
    [(1.0, 10, 0.02, 0.999), (4.0, 50, 0.06, 0.997)],
)
def test_kd_from_the_largest_logits_is_close_to_kd_from_all(
    temperature: float, k: int, loss_apart: float, least_cosine: float
) -> None:
    """With all of them equal up to half precision, with fewer nearer the more there are."""
    kd, student = (
        KD(temperature=temperature),
        torch.from_numpy(RNG.normal(size=(ROWS, CLASSES)).astype(np.float32)),
    )

    def loss_and_gradient(teacher_NK: Any) -> tuple[float, torch.Tensor]:
        s_NK = student.clone().requires_grad_()
        loss = kd(s_NK, torch.from_numpy(teacher_NK), None, False)
        loss.backward()
        return loss.item(), s_NK.grad.flatten()

    full, direction = loss_and_gradient(LOGITS_NK)
    apart, cosine = {}, {}
    for few in (1, 5, 10, 20, 50, 100):
        loss, gradient = loss_and_gradient(TopK(k=few).kept(LOGITS_NK)[:])
        apart[few] = abs(loss / full - 1)
        cosine[few] = torch.cosine_similarity(gradient.double(), direction.double(), dim=0).item()
    assert apart[100] < 1e-3 and cosine[100] > 1 - 1e-5
    assert sorted(cosine.values()) == list(cosine.values())
    assert apart[k] < loss_apart and cosine[k] > least_cosine, (apart, cosine)


@pytest.fixture(scope="module")
def kept(
    tiny: Experiment, source: InputSource, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Experiment, InputSource, Path]:
    """The tiny experiment with three logits of ten, in a storage with its teacher and pool."""
    storage = tmp_path_factory.mktemp("kept")
    for folder in ("teachers", "pools"):
        shutil.copytree(source.pool.shards[0].path.parents[2] / folder, storage / folder)
    e = replace(tiny, cache=TopK(k=3))
    found = obtain(Cell(experiment=e, block=Block(seed=0)), FolderStorage(storage))
    score_here(found, FolderStorage(storage))
    return e, found, storage


def test_files_and_pack_hold_what_was_kept_and_the_rest_is_untouched(
    kept: tuple[Experiment, InputSource, Path], inputs: Inputs
) -> None:
    _, source, storage = kept
    paths = [
        score_path(FolderStorage(storage), source.teacher.digest, s, source.task, source.cache)
        for s in source.pool.shards
    ]
    assert "logits" not in pq.read_schema(paths[0]).names
    expected_NK = TopK(k=3).kept(inputs.scores.logits_NK)[:]
    for scores in (read_scores(paths), load(source, FolderStorage(storage)).scores):
        assert isinstance(scores, Scores) and scores.classes == 10
        for name in (
            "row_id_N",
            "pseudo_label_N",
            "confidence_N",
            "entropy_N",
            "margin_N",
            "features_ND",
        ):
            np.testing.assert_array_equal(getattr(scores, name), getattr(inputs.scores, name))
        np.testing.assert_array_equal(scores.logits_NK[:], expected_NK)
        np.testing.assert_array_equal(
            scores.take(np.array([5, 2])).logits_NK[:], expected_NK[[5, 2]]
        )
    folder = next((storage / "packs").iterdir())
    assert not (folder / "logits_NK.npy").exists()


@pytest.mark.parametrize(
    "kind", [kind for kind in SELECTIONS if kind is not Dynamic], ids=lambda kind: kind.__name__
)
def test_every_rule_selects_the_same_rows(
    kind: Any, kept: tuple[Experiment, InputSource, Path], inputs: Inputs
) -> None:
    _, source, storage = kept
    few, probe_P = load(source, FolderStorage(storage)), inputs.probe.rows_P
    rule, task = kind(ratio=0.3), source.task
    chosen = [select(rule, one.scores_for(rule, task), probe_P, 7) for one in (few, inputs)]
    np.testing.assert_array_equal(*chosen)


def test_whole_scores_and_kept_ones_do_not_get_in_each_others_way(
    kept: tuple[Experiment, InputSource, Path], tiny: Experiment
) -> None:
    e, source, storage = kept
    digest, pool, task = source.teacher.digest, source.pool, source.task
    assert not missing_shards(FolderStorage(storage), digest, pool, task, TopK(k=3))
    for other in (None, TopK(k=4)):
        assert len(missing_shards(FolderStorage(storage), digest, pool, task, other)) == len(
            pool.shards
        )
    block = Block(seed=0)
    keys = {
        inputs_key(Cell(experiment=one, block=block))
        for one in (tiny, e, replace(tiny, cache=TopK(k=4)))
    }
    assert len(keys) == 3


def test_a_cell_learns_from_them(
    kept: tuple[Experiment, InputSource, Path],
    tiny: Experiment,
    job_of: Callable[..., Job],
    inputs: Inputs,
    tmp_path: Path,
) -> None:
    """The same rows are selected; with all classes kept it is nearly the same student."""
    e, source, storage = kept
    full = compute(job_of(tiny), inputs, FolderStorage(tmp_path / "full"))
    few = compute(job_of(e), load(source, FolderStorage(storage)), FolderStorage(tmp_path / "few"))
    assert few.state == "finished" and few.cell != full.cell and few.params["cache.k"] == 3
    assert few.points[0]["train.kd"] != full.points[0]["train.kd"]
    scores = replace(inputs.scores, logits_NK=TopK(k=10).kept(inputs.scores.logits_NK))
    whole = replace(tiny, cache=TopK(k=10))
    nearly = compute(job_of(whole), replace(inputs, scores=scores), FolderStorage(tmp_path / "all"))
    for point, other in zip(nearly.points, full.points, strict=True):
        assert point["train.kd"] == pytest.approx(other["train.kd"], rel=0.02)


def test_identity_is_as_ever_without_it_and_another_with_it(tiny: Experiment) -> None:
    few, whole = replace(tiny, cache=TopK(k=3)), replace(tiny, cache=TopK(k=10))
    assert "cache" not in tiny.params() and "cache" not in tiny.spec()
    assert len({one.fingerprint() for one in (tiny, few, whole)}) == 3
    assert replace(tiny, cache=TopK(k=12)).fingerprint() == whole.fingerprint()
    assert few.diff(tiny) == {"cache": ("top_k", None), "cache.k": (3, None)}
    assert experiment(few.params()) == few and experiment(tiny.params()) == tiny
    assert changed(tiny, {"cache": "top_k", "cache.k": "3"}) == few
    assert changed(few, {"cache": "none"}) == tiny
    with pytest.raises(ValueError, match=r"cache\.k must be 1 class or more"):
        changed(tiny, {"cache": "top_k", "cache.k": "0"})


def test_the_line_that_is_said_before_anything_is_written() -> None:
    imagenet = Need(
        rows=1_281_167, map_rows=0, classes=1000, width=512, pixels=3 * 64 * 64, cache=None
    )
    assert imagenet.line().startswith(
        "scores: 1,281,167 rows x 1,000 classes: 5.1 GB; with cache=top_k cache.k=10: 61 MB; "
    )
    few = replace(imagenet, cache=TopK(k=10))
    assert "of which 10 are kept: 61 MB; with features and all else 2.7 GB" in few.line()
    digits = replace(imagenet, classes=10)
    assert "cache" not in digits.line()  # there is nothing to be saved


def test_what_is_written_has_the_size_that_was_said(
    kept: tuple[Experiment, InputSource, Path], tmp_path: Path
) -> None:
    source = kept[1]
    logits_NK = np.repeat(LOGITS_NK, 10, axis=0) + RNG.normal(size=(10 * ROWS, CLASSES)).astype(
        np.float32
    )
    whole = scores_of(
        np.arange(len(logits_NK)),
        logits_NK,
        RNG.normal(size=(len(logits_NK), WIDTH)).astype(np.float32),
    )
    said = Need(rows=len(whole), map_rows=0, classes=CLASSES, width=WIDTH, pixels=0, cache=None)
    for cache in (None, TopK(k=10)):
        scores = whole if cache is None else replace(whole, logits_NK=cache.kept(logits_NK))
        wanted = replace(said, cache=cache).scores
        assert sum(values.nbytes for values in scores.columns().values()) == wanted
    # real files: the pack to the byte, but for the heads of its arrays and its note; Parquet's
    # compressed
    before = check_space(source, FolderStorage(tmp_path))
    score_here(source, FolderStorage(tmp_path))
    load(source, FolderStorage(tmp_path))
    after = check_space(source, FolderStorage(tmp_path))
    assert before.rows == before.map_rows == 600 and after.scores == after.memory_map == 0
    arrays = list(tmp_path.glob("packs/*/*.npy"))
    assert sum(path.stat().st_size for path in arrays) - 128 * len(arrays) == before.memory_map
    [scores] = tmp_path.glob("scores/*/*.parquet")
    assert 0.6 * before.scores < scores.stat().st_size < 1.1 * before.scores, before.scores


def test_a_disk_that_is_too_small_is_one_line_and_nothing_is_written(
    kept: tuple[Experiment, InputSource, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, storage = replace(kept[1], cache=None), tmp_path / "new"
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**6, 10**6 - 1000, 1000))
    with pytest.raises(
        ValueError, match=r"has 1.0 kB free: see what may go with python -m platform.clean"
    ) as raised:
        score_here(source, FolderStorage(storage))
    assert "\n" not in str(raised.value) and not storage.exists()
