"""Class dropping: what all rules promise, and each one's formula. B batch, K classes."""

import math
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from dfkd.method.dropping import (
    DROPPINGS,
    ByConfidence,
    NoiseMatrix,
    Nucleus,
    Random,
    Tail,
    WholeClass,
)
from dfkd.method.losses import KD
from dfkd.seeding import generator
from dfkd.testing import DroppingSuite
from dfkd.testing.runs import run_of

RATED = [kind for kind in DROPPINGS if "rate" in {field.name for field in fields(kind)}]
RATES = (0.0, 0.35, 0.99)


def logits(batch: int = 64, classes: int = 10, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, classes, generator=torch.Generator().manual_seed(seed)) * 3


# ---- what all rules have in common


class TestDroppings(DroppingSuite):
    pieces = (
        *(kind.example() for kind in DROPPINGS),
        *(replace(kind.example(), rate=rate) for kind in RATED for rate in RATES),
        *(Nucleus(mass=1 - rate) for rate in RATES),
        NoiseMatrix(weight=0.0),
    )


@pytest.mark.parametrize(
    "nothing",
    [
        *(replace(kind.example(), rate=0.0) for kind in RATED),
        Nucleus(mass=1.0),
        NoiseMatrix(weight=0.0),
    ],
    ids=lambda rule: type(rule).__name__,
)
def test_a_rule_that_drops_nothing_is_none(nothing):
    assert nothing.canonical(10) is None


@pytest.mark.parametrize("kind", [Random, ByConfidence])
def test_what_is_drawn_depends_on_the_step(kind):
    masks = [kind(rate=0.5).keep(logits(), generator(0, "dropping", step)) for step in (1, 2)]
    assert not masks[0].equal(masks[1])


@pytest.mark.parametrize("kind", RATED, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, math.nan])
def test_rates_outside_of_their_range_are_refused(kind, rate):
    with pytest.raises(ValueError, match=r"dropping.rate must lie in \[0, 1\), .* but got rate="):
        replace(kind.example(), rate=rate)


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
        run = run_of(experiment, inputs)
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
        run_of(replace(tiny, dropping=dropping), inputs)
        for dropping in (None, WholeClass(rate=0.5))
    ]
    whole, part = (set(run.rows_N) for run in runs)
    assert part < whole
    runs[1].advance(3)
    assert len(set(inputs.scores.pseudo_label_N[list(part)])) <= 5


def test_whole_class_goes_by_confidence_or_count():
    with pytest.raises(ValueError, match=r'dropping.by must be "confidence" or "count"'):
        WholeClass(rate=0.5, by="entropy")
