"""Class dropping: what all rules promise, and each one's formula. B batch, K classes."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from dfkd.experiment import Cell
from dfkd.method.dropping import (
    DROPPINGS,
    ByConfidence,
    Dropping,
    NoiseMatrix,
    Nucleus,
    Random,
    Tail,
    WholeClass,
)
from dfkd.method.losses import KD
from dfkd.seeding import Block, generator
from dfkd.training.distill import Run

RECIPES: dict[type[Dropping], Callable[[float], Dropping]] = {
    Tail: lambda rate: Tail(rate=rate),
    Random: lambda rate: Random(rate=rate),
    ByConfidence: lambda rate: ByConfidence(rate=rate),
    Nucleus: lambda rate: Nucleus(mass=1 - rate),
    WholeClass: lambda rate: WholeClass(rate=rate),
    NoiseMatrix: lambda rate: NoiseMatrix(weight=rate, accuracy=0.9),
}
DRAWN = {Random, ByConfidence}  # rules that the generator may change
RATED = [kind for kind in DROPPINGS if "rate" in kind.__dataclass_fields__]  # type: ignore[attr-defined]
each_rule = pytest.mark.parametrize("kind", DROPPINGS, ids=lambda kind: kind.__name__)
each_rate = pytest.mark.parametrize("rate", [0.0, 0.1, 0.35, 0.8, 0.99])


def logits(batch: int = 64, classes: int = 10, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, classes, generator=torch.Generator().manual_seed(seed)) * 3


# ---- what all rules have in common


def test_every_listed_rule_is_tested():
    assert set(RECIPES) == set(DROPPINGS)


@each_rule
@each_rate
@pytest.mark.parametrize("classes", [2, 3, 10, 100])
def test_the_most_likely_class_is_always_kept(kind, rate, classes):
    teacher_BK = logits(classes=classes)
    keep_BK = RECIPES[kind](rate).keep(teacher_BK, generator(0, "dropping", 0))
    assert keep_BK.dtype == torch.bool and keep_BK.shape == teacher_BK.shape
    assert keep_BK[torch.arange(64), teacher_BK.argmax(1)].all()


@each_rule
def test_among_equal_classes_the_one_that_counts_as_the_answer_is_kept(kind):
    teacher_BK = logits().round()  # many ties
    keep_BK = RECIPES[kind](0.8).keep(teacher_BK, generator(0, "dropping", 0))
    assert keep_BK[torch.arange(64), torch.from_numpy(teacher_BK.numpy().argmax(1))].all()
    everything_equal_BK = RECIPES[kind](0.8).keep(torch.zeros(4, 10), generator(0, "dropping", 0))
    assert everything_equal_BK[:, 0].all()


@each_rule
def test_rate_0_is_plain_distillation(kind):
    rule, kd = RECIPES[kind](0.0), KD()
    assert rule.canonical(10) is None
    keep_BK = rule.keep(logits(), generator(0, "dropping", 0))
    assert keep_BK.all()
    student_BK, teacher_BK = logits(seed=1), logits()
    plain = kd(student_BK, teacher_BK, None, False)
    assert kd(student_BK, teacher_BK, keep_BK, kind.masks_student).item() == pytest.approx(
        plain.item(), rel=1e-6
    )


@each_rule
@each_rate
def test_the_canonical_rule_drops_the_same(kind, rate):
    rule = RECIPES[kind](rate)
    canonical = rule.canonical(10)
    keep_BK = rule.keep(logits(), generator(0, "dropping", 3))
    if canonical is None:
        assert keep_BK.all()
    else:
        assert canonical.canonical(10) == canonical
        assert canonical.keep(logits(), generator(0, "dropping", 3)).equal(keep_BK)


@each_rule
def test_masks_are_the_same_for_the_same_generator_and_only_drawn_rules_listen_to_it(kind):
    rule = RECIPES[kind](0.5)
    first, again, other = (
        rule.keep(logits(), generator(0, "dropping", step)) for step in (1, 1, 2)
    )
    assert first.equal(again)
    assert first.equal(other) == (kind not in DRAWN)


@each_rule
def test_the_global_random_state_is_left_alone(kind):
    before = torch.random.get_rng_state()
    RECIPES[kind](0.5).keep(logits(), generator(0, "dropping", 0))
    assert torch.random.get_rng_state().equal(before)


@each_rule
def test_dropped_logits_of_the_student_are_pushed_down_unless_they_are_masked_too(kind):
    teacher_BK, student_BK = logits(), logits(seed=1).requires_grad_()
    keep_BK = RECIPES[kind](0.5).keep(teacher_BK, generator(0, "dropping", 0))
    KD()(student_BK, teacher_BK, keep_BK, kind.masks_student).backward()
    gradient_BK = student_BK.grad
    assert gradient_BK is not None and gradient_BK.isfinite().all()
    assert (gradient_BK[keep_BK] != 0).any()
    if kind.masks_student:
        assert (gradient_BK[~keep_BK] == 0).all()
    else:
        assert (gradient_BK[~keep_BK] > 0).all()


@pytest.mark.parametrize("kind", RATED, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, math.nan])
def test_rates_outside_of_their_range_are_refused(kind, rate):
    with pytest.raises(ValueError, match=r"dropping.rate must lie in \[0, 1\), .* but got rate="):
        RECIPES[kind](rate)


# ---- tail


@pytest.mark.parametrize(
    ("rate", "classes", "dropped"),
    [
        (0.3, 10, 3),
        (0.31, 10, 3),
        (0.39, 10, 3),
        (0.4, 10, 4),
        (0.09, 10, 0),
        (0.1, 10, 1),
        (0.7, 10, 7),
        (0.99, 10, 8),
        (0.8, 10, 8),
        (0.5, 2, 0),
        (0.9, 2, 0),
        (0.5, 3, 1),
        (0.29, 100, 29),
        (0.58, 100, 58),
    ],
)
def test_tail_drops_a_number_of_classes_and_two_stay(rate, classes, dropped):
    assert Tail(rate=rate).dropped(classes) == dropped
    keep_BK = Tail(rate=rate).keep(logits(classes=classes), generator(0, "dropping", 0))
    assert (keep_BK.sum(1) == classes - dropped).all()


@pytest.mark.parametrize("classes", [2, 3, 5, 10, 100, 1000])
def test_tail_has_one_form_for_each_number_of_classes(classes):
    for rate in np.linspace(0, 0.999, 101):
        canonical = Tail(rate=rate).canonical(classes)
        count = Tail(rate=rate).dropped(classes)
        assert (canonical is None) == (count == 0)
        if canonical is not None:
            assert canonical.dropped(classes) == count
            assert canonical.canonical(classes) == canonical


def test_tail_drops_the_least_likely():
    teacher_BK = torch.tensor([[5.0, 1.0, 3.0, 2.0, 4.0], [-1.0, -2.0, -3.0, -4.0, 0.0]])
    expected = [[True, False, True, False, True], [True, True, False, False, True]]
    assert Tail(rate=0.4).keep(teacher_BK, generator(0, "dropping", 0)).tolist() == expected


# ---- random


def test_random_drops_each_other_class_with_the_given_probability():
    teacher_BK = logits(batch=4000)
    keep_BK = Random(rate=0.3).keep(teacher_BK, generator(0, "dropping", 0))
    others_BK = torch.ones_like(keep_BK).scatter_(1, teacher_BK.argmax(1, keepdim=True), False)
    dropped = (~keep_BK)[others_BK].float().mean().item()
    assert dropped == pytest.approx(0.3, abs=0.01)
    pairs = (
        (~keep_BK[:, 0] & ~keep_BK[:, 1])[others_BK[:, 0] & others_BK[:, 1]].float().mean().item()
    )
    assert pairs == pytest.approx(0.09, abs=0.02)  # independently


# ---- by confidence


def test_by_confidence_drops_more_of_what_the_teacher_is_less_sure_of():
    levels = (1.0, 2.0, 4.0)
    teacher_BK = torch.zeros(9000, 10)
    teacher_BK[:, 3] = torch.tensor(levels).repeat_interleave(3000)
    keep_BK = ByConfidence(rate=0.8).keep(teacher_BK, generator(0, "dropping", 0))
    others_BK = keep_BK[:, torch.arange(10) != 3]
    for index, level in enumerate(levels):
        confidence = math.exp(level) / (math.exp(level) + 9)
        dropped = 1 - others_BK[3000 * index : 3000 * index + 3000].float().mean().item()
        assert dropped == pytest.approx(0.8 * (1 - confidence), abs=0.01)


# ---- nucleus


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("mass", [0.01, 0.5, 0.9, 0.999])
def test_nucleus_keeps_the_smallest_set_with_its_mass(mass, temperature):
    teacher_BK = logits().double()
    keep_BK = Nucleus(mass=mass).keep(teacher_BK, generator(0, "dropping", 0), temperature)
    for row, keep in zip(teacher_BK.numpy(), keep_BK.numpy(), strict=True):
        p = np.exp(row / temperature) / np.exp(row / temperature).sum()
        order = np.argsort(-p)
        size = int(np.searchsorted(np.cumsum(p[order]), mass)) + 1
        assert sorted(np.flatnonzero(keep)) == sorted(order[:size])


def test_nucleus_reads_the_temperature_of_the_loss(tiny, inputs):
    kept = []
    for temperature in (1.0, 20.0):
        experiment = replace(tiny, dropping=Nucleus(mass=0.9), kd=KD(temperature=temperature))
        run = Run(Cell(experiment=experiment, block=Block(seed=0)), inputs)
        run.advance(5)
        kept.append(run.evaluate()["kept_classes"])
    assert kept[0] < 8 < kept[1]


@pytest.mark.parametrize("mass", [0.0, -0.1, 1.1, math.nan])
def test_nucleus_refuses_other_masses(mass):
    with pytest.raises(ValueError, match=r"dropping.mass must lie in \(0, 1\]"):
        Nucleus(mass=mass)


# ---- whole class


@pytest.mark.parametrize("by", ["confidence", "count"])
@pytest.mark.parametrize(("rate", "dropped"), [(0.0, 0), (0.1, 1), (0.39, 3), (0.99, 8)])
def test_whole_class_takes_the_rows_of_the_worst_classes(inputs, by, rate, dropped):
    scores, rows_N = inputs.scores, np.arange(0, 600, 2)
    own_K = [rows_N[scores.pseudo_label_N[rows_N] == k] for k in range(10)]
    means = [float(scores.confidence_N[own].mean()) if len(own) else 0.0 for own in own_K]
    values = means if by == "confidence" else [len(own) for own in own_K]
    gone = np.argsort(values, kind="stable")[:dropped]
    expected = [row for row in rows_N if scores.pseudo_label_N[row] not in gone]
    rule = WholeClass(rate=rate, by=by)
    assert rule.filter(scores, rows_N).tolist() == expected
    assert len(expected) > 0


def test_whole_class_shortens_the_selection_of_a_run(tiny, inputs):
    runs = [
        Run(Cell(experiment=replace(tiny, dropping=dropping), block=Block(seed=0)), inputs)
        for dropping in (None, WholeClass(rate=0.5))
    ]
    whole, part = (set(run.rows_N) for run in runs)
    assert part < whole
    runs[1].advance(3)
    assert len(set(inputs.scores.pseudo_label_N[list(part)])) <= 5


def test_whole_class_goes_by_confidence_or_count():
    with pytest.raises(ValueError, match=r'dropping.by must be "confidence" or "count"'):
        WholeClass(rate=0.5, by="entropy")
