"""Class dropping: what all rules promise, and each one's formula. B batch, K classes."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from dfkd.method.dropping import DROPPINGS, Dropping, Random, Tail
from dfkd.method.losses import KD
from dfkd.randomness import generator

RECIPES: dict[type[Dropping], Callable[[float], Dropping]] = {
    Tail: lambda rate: Tail(rate=rate),
    Random: lambda rate: Random(rate=rate),
}
DRAWN = {Random}  # rules that the generator may change
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
    assert kd(student_BK, teacher_BK, keep_BK, kind.masks_student).item() == pytest.approx(plain.item(), rel=1e-6)


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
    first, again, other = (rule.keep(logits(), generator(0, "dropping", step)) for step in (1, 1, 2))
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


@each_rule
@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, math.nan])
def test_rates_outside_of_their_range_are_refused(kind, rate):
    with pytest.raises(ValueError, match=r"dropping.rate must lie in \[0, 1\), .* but got rate="):
        RECIPES[kind](rate)


# ---- tail


@pytest.mark.parametrize(
    ("rate", "classes", "dropped"),
    [
        (0.3, 10, 3), (0.31, 10, 3), (0.39, 10, 3), (0.4, 10, 4), (0.09, 10, 0), (0.1, 10, 1), (0.7, 10, 7),
        (0.99, 10, 8), (0.8, 10, 8), (0.5, 2, 0), (0.9, 2, 0), (0.5, 3, 1), (0.29, 100, 29), (0.58, 100, 58),
    ],
)  # fmt: skip
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
    pairs = (~keep_BK[:, 0] & ~keep_BK[:, 1])[others_BK[:, 0] & others_BK[:, 1]].float().mean().item()
    assert pairs == pytest.approx(0.09, abs=0.02)  # independently
