"""Recipes: the full method and its baselines are complete, differ as they say, and train."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fashion_files import write_fashion

from ablations import baselines
from dfkd.data.images.transforms import Crop
from dfkd.data.pools import TrainingImages, WildGarments, read_shard
from dfkd.data.tasks import Digits
from dfkd.experiment import Cell, Experiment
from dfkd.experiment.recipes import BASELINES, RECIPES, digits, energy, fashion, labels
from dfkd.method.dropping import DROPPINGS, ByConfidence, NoiseMatrix, Nucleus, Tail, WholeClass
from dfkd.method.dropping import Random as RandomClasses
from dfkd.method.losses import FitNet, OriginalLabels, PooledFeatures
from dfkd.method.selection import SELECTIONS, Balanced, Dynamic, Random
from dfkd.seeding import Block
from dfkd.storage import FolderStorage
from dfkd.synthesis import FastDfkd
from dfkd.testing.runs import run_of
from dfkd.training.distill import Inputs
from dfkd.training.inputs import InputSource, load, obtain, score_here

ORIGINAL = ("digits_labels", "digits_original")
ON_DIGITS = [name for name in RECIPES if name.startswith("digits")]


@pytest.fixture(scope="module")
def original(source: InputSource, tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """The tiny teacher's scores of the original images."""
    storage = tmp_path_factory.mktemp("original")
    pool = TrainingImages(task=source.task).files(source.task.image_shape, FolderStorage(storage))
    scored = replace(source, pool=pool)
    score_here(scored, FolderStorage(storage))
    return load(scored, FolderStorage(storage))


def small(experiment: Experiment, tiny: Experiment) -> Experiment:
    """The recipe with the tiny teacher, student and budget."""
    schedule = replace(experiment.schedule, steps=6, batch=16, evaluations=1)
    pool = experiment.pool if isinstance(experiment.pool, TrainingImages) else tiny.pool
    return replace(
        experiment, teacher=tiny.teacher, student=tiny.student, schedule=schedule, pool=pool
    )


# ---- end to end


@pytest.mark.parametrize("name", ON_DIGITS)
def test_each_recipe_trains(name, tiny, inputs, original):
    run = run_of(small(RECIPES[name](), tiny), original if name in ORIGINAL else inputs)
    run.advance(6)
    point = run.evaluate()
    assert point["step"] == 6 and np.isfinite(point["train.total"]) and 0 <= point["probe"] <= 1


def test_the_full_method_and_its_baselines_train_on_garments(tiny, tmp_path):
    """From files to a judged student, on small files of Fashion-MNIST's format."""
    task = write_fashion(tmp_path / "files")
    few = replace(fashion().schedule, steps=6, batch=16, evaluations=1)
    full = replace(
        fashion(),
        task=task,
        pool=WildGarments(rows=400, task=task),
        teacher=tiny.teacher,
        student=tiny.student,
        schedule=few,
    )
    few_rows = FastDfkd(rows=100, batch=50, steps=1, warm_up=0, width=2)
    for e in (full, *(baseline(full) for baseline in BASELINES.values())):
        e = replace(e, pool=few_rows) if isinstance(e.pool, FastDfkd) else e
        source = obtain(Cell(experiment=e, block=Block(seed=0)), FolderStorage(tmp_path))
        score_here(source, FolderStorage(tmp_path))
        run = run_of(e, load(source, FolderStorage(tmp_path)))
        run.advance(6)
        point = run.evaluate()
        assert np.isfinite(point["train.total"]) and 0 <= point["validation"] <= 1


@pytest.mark.parametrize("kind", SELECTIONS, ids=lambda kind: kind.__name__)
def test_each_selection_trains(kind, tiny, inputs):
    rule = Dynamic(rule=Random(rows=48), every=1) if kind is Dynamic else kind(rows=48)
    run = run_of(replace(tiny, selection=rule), inputs)
    run.advance(6)
    assert len(run.rows_N) == 48 and np.isfinite(run.evaluate()["train.total"])


@pytest.mark.parametrize(
    "rule",
    [
        Tail(rate=0.3),
        RandomClasses(rate=0.3),
        ByConfidence(rate=0.9),
        Nucleus(mass=0.8),
        WholeClass(rate=0.3),
        NoiseMatrix(),
    ],
    ids=lambda rule: type(rule).__name__,
)
def test_each_dropping_trains(rule, tiny, inputs):
    assert type(rule) in DROPPINGS
    run = run_of(replace(tiny, dropping=rule), inputs)
    run.advance(6)
    assert np.isfinite(run.evaluate()["train.total"])


# ---- what they are


@pytest.mark.parametrize("name", ["digits", "fashion"])
def test_baselines_cost_as_much_as_the_full_method_in_steps_and_images(name):
    full = RECIPES[name]().schedule
    for end in BASELINES:
        schedule = RECIPES[f"{name}_{end}"]().schedule
        assert (schedule.steps, schedule.batch) == (full.steps, full.batch)


def test_fashion_takes_its_settings_over_from_digits():
    """Chosen for it, by validation: how long the teacher and the student learn."""
    assert set(fashion().diff(digits())) == {
        "task",
        "task.path",
        "task.content",
        "pool",
        "pool.rows",
        "pool.share",
        "pool.task",
        "pool.task.path",
        "pool.task.content",
        "teacher.steps",
        "schedule.steps",
    }


def test_the_study_of_baselines_asks_them_of_any_recipe():
    for full in (
        digits(),
        fashion(),
        replace(digits(), selection=Balanced(rows=300), views=Crop(answer="live")),
    ):
        variants = baselines.study_of(full).variants
        assert variants["full method"] == full
        assert len(variants) == len(BASELINES)  # the generator has a study of its own
        assert {e.task for e in variants.values()} == {full.task}
        rows = {
            e.selection.rows for e in variants.values() if not isinstance(e.pool, TrainingImages)
        }
        assert rows == {full.selection.rows}
    on_digits = {RECIPES[name]() for name in ON_DIGITS}
    apart = ("digits_energy", "digits_generator", "digits_maps", "digits_cut_mix")
    others = {RECIPES[name]() for name in apart}
    assert set(baselines.study.variants.values()) == on_digits - others


def test_the_recipe_by_maps_is_that_by_energy_with_other_explicit_knowledge():
    by_energy = energy(digits(), rate=4, budget=4, temperature=2.0)
    assert RECIPES["digits_maps"]() == replace(by_energy, explicit=FitNet())


def test_the_recipe_on_mixtures_is_that_by_maps_with_other_views_and_more_steps():
    changed = RECIPES["digits_cut_mix"]().diff(RECIPES["digits_maps"]())
    assert {name.split(".")[0] for name in changed} == {"views", "schedule"}
    assert changed["schedule.steps"] == (800, 200)


def test_the_recipe_by_energy_has_other_rows_batches_and_rate_and_nothing_else():
    changed = RECIPES["digits_energy"]().diff(digits())
    assert changed.keys() == {
        "selection",
        "selection.ratio",
        "selection.threshold",
        "selection.fill",
        "sampling",
        "sampling.most_repeats",
        "schedule.learning_rate",
    }
    assert changed["selection.ratio"] == (0.2, 0.1) and changed["selection.fill"] == (False, True)
    assert changed["schedule.learning_rate"] == (0.04, 0.005)
    of_rows = replace(digits(), selection=Balanced(rows=300))
    assert energy(of_rows, rate=1, budget=2, temperature=4.0).selection.rows == 600


def test_the_student_on_labels_asks_no_teacher_about_its_views():
    alone = labels(replace(digits(), views=Crop(padding=1, answer="live")))
    assert alone.views == Crop(padding=1, answer="cached") and not alone.asks_teacher


def test_only_the_labels_baseline_reads_training_labels(tiny, inputs, original, monkeypatch):
    task = Digits()
    for name in ON_DIGITS:
        run = run_of(small(RECIPES[name](), tiny), original if name in ORIGINAL else inputs)
        rows_B = run.batch(0)
        answer_BK = run.answers(rows_B, 0, run.views(rows_B, 0)[0]).logits_BK
        teacher_BK = (original if name in ORIGINAL else inputs).scores.logits_NK[rows_B]
        if name == "digits_labels":
            labels_B = task.train().labels[original.scores.row_id_N[rows_B]]
            assert answer_BK.equal(F.one_hot(torch.from_numpy(labels_B), 10).float())
        else:  # of mixtures the teacher is asked anew
            kept = answer_BK.equal(torch.from_numpy(teacher_BK))
            assert kept == (run.experiment.views is None)


def test_the_loss_on_labels_is_their_cross_entropy(tiny, original):
    run = run_of(small(RECIPES["digits_labels"](), tiny), original)
    rows_B = run.batch(0)
    labels_B = torch.from_numpy(Digits().train().labels[original.scores.row_id_N[rows_B]])
    with torch.no_grad():
        logits_BK, _ = run.objective.student(run.views(rows_B, 0)[0])
        terms = run.loss(0)
    assert terms["kd"].item() == pytest.approx(
        F.cross_entropy(logits_BK, labels_B).item(), rel=1e-5
    )


def test_original_labels_stand_alone():
    recipe = RECIPES["digits_labels"]()
    for change in (
        {"pool": RECIPES["digits"]().pool},
        {"dropping": Tail(rate=0.3)},
        {"explicit": PooledFeatures(weight=1.0)},
        {"views": Crop(padding=1, answer="live")},
    ):
        with pytest.raises(
            ValueError, match="original labels need the pool TrainingImages of the same task"
        ):
            replace(recipe, **change)
    assert isinstance(recipe.kd, OriginalLabels)


def test_dfnds_learning_rate_falls_at_40_and_80_percent(tiny, inputs):
    recipe = small(RECIPES["digits_dfnd"](), tiny)
    run = run_of(replace(recipe, schedule=replace(recipe.schedule, steps=10)), inputs)
    rates = []
    for step in range(10):
        rates.append(run.optimizer.rate.learning_rate)
        run.advance(step + 1)
    assert rates == pytest.approx([0.1] * 4 + [0.01] * 4 + [0.001] * 2)


# ---- the oracle's pool


def test_the_pool_of_training_images_is_the_training_split(tmp_path: Path):
    task = Digits()
    pool = TrainingImages(task=task)
    files = pool.files(task.image_shape, FolderStorage(tmp_path))
    [shard] = files.shards
    row_id_N, images_NHWC = read_shard(shard.path, task.image_shape)
    assert (images_NHWC == task.train().images).all() and row_id_N.tolist() == list(range(897))
    assert (pool.labels(row_id_N) == task.train().labels).all()
    before = shard.path.stat().st_mtime_ns
    assert (
        pool.files(task.image_shape, FolderStorage(tmp_path)) == files
        and shard.path.stat().st_mtime_ns == before
    )


def test_training_images_have_one_draw_and_one_size(tmp_path: Path):
    pool = TrainingImages(task=Digits())
    with pytest.raises(ValueError, match="training images are one draw, 0, but got draw=1"):
        pool.files((16, 16, 1), FolderStorage(tmp_path), draw=1)
    with pytest.raises(ValueError, match="must hold the experiment's own task"):
        pool.files((32, 32, 3), FolderStorage(tmp_path))
