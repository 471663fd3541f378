"""Losses on the teacher's answer: what all promise, and their formulas again in NumPy."""

import math

import numpy as np
import pytest
import torch
from reference import softmax

from dfkd.method.dropping import Random, Tail
from dfkd.method.losses import DKD, KD, KDS, OriginalLabels, StandardisedKD
from dfkd.seeding import generator
from dfkd.testing import AnswerLossSuite
from dfkd.testing.outputs import outputs


class TestAnswerLosses(AnswerLossSuite):
    pieces = tuple(kind.example() for kind in KDS)


def test_original_labels_are_cross_entropy():
    student, label = outputs(1, 1).logits_BK, torch.arange(16) % 10
    loss = OriginalLabels()(student, torch.nn.functional.one_hot(label, 10), None, False)
    expected = -np.log(softmax(student.numpy())[np.arange(16), label.numpy()]).mean()
    assert loss.item() == pytest.approx(expected, rel=1e-6)


# ---- KD


def kd_reference(
    student: np.ndarray, teacher: np.ndarray, t: float, keep: np.ndarray, masks_student: bool
) -> float:
    total = 0.0
    for s, z, k in zip(student, teacher, keep, strict=True):
        p = np.exp(z / t) * k / (np.exp(z / t) * k).sum()
        seen = k if masks_student else np.ones_like(k)
        log_q = s / t - np.log((np.exp(s / t) * seen).sum())
        total += sum(p[j] * (np.log(p[j]) - log_q[j]) for j in range(len(p)) if k[j])
    return t**2 * total / len(student)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
@pytest.mark.parametrize(
    "dropping", [None, Tail(rate=0.3), Tail(rate=0.8), Random(rate=0.5)], ids=str
)
def test_kd_agrees_with_its_formula(temperature, dropping):
    student, teacher = outputs(1, 1, scale=3).logits_BK, outputs(1, 2, scale=3).logits_BK
    keep = None if dropping is None else dropping.keep(teacher, generator(0, "dropping", 0))
    masks_student = dropping is not None and dropping.masks_student
    mask = np.ones((16, 10)) if keep is None else keep.numpy().astype(float)
    expected = kd_reference(student.numpy(), teacher.numpy(), temperature, mask, masks_student)
    kd = KD(temperature=temperature)
    assert kd(student, teacher, keep, masks_student).item() == pytest.approx(expected, rel=1e-6)
    single = kd(student.float(), teacher.float(), keep, masks_student).item()
    assert single == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_kd_of_equal_answers_is_0_whatever_is_dropped_from_both():
    teacher = outputs(1, 2).logits_BK
    keep = Random(rate=0.5).keep(teacher, generator(0, "dropping", 0))
    assert KD()(teacher, teacher, None, False).item() == pytest.approx(0, abs=1e-12)
    assert KD()(teacher, teacher, keep, True).item() == pytest.approx(0, abs=1e-12)
    # the student's mass on dropped classes is to go
    assert KD()(teacher, teacher, keep, False).item() > 0.1


def test_kd_stays_finite_where_one_class_is_all():
    teacher, student = torch.zeros(4, 10), torch.zeros(4, 10, requires_grad=True)
    teacher[:, 3] = 1e4
    KD(temperature=1.0)(
        student, teacher, Tail(rate=0.8).keep(teacher, generator(0, "dropping", 0)), False
    ).backward()
    assert student.grad is not None and student.grad.isfinite().all()


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_kd_refuses_impossible_temperatures(temperature):
    with pytest.raises(ValueError, match=r"kd.temperature must be above 0"):
        KD(temperature=temperature)


# ---- standardised logits


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("dropping", [None, Tail(rate=0.3), Random(rate=0.5)], ids=str)
def test_standardised_kd_is_kd_of_the_z_scores_of_the_kept_classes(temperature, dropping):
    student, teacher = outputs(1, 1, scale=3).logits_BK, outputs(1, 2, scale=3).logits_BK
    keep = None if dropping is None else dropping.keep(teacher, generator(0, "dropping", 0))
    masks_student = dropping is not None and dropping.masks_student
    mask = np.ones((16, 10), bool) if keep is None else keep.numpy()

    def z(logits, kept):
        rows = [(x - x[k].mean()) / x[k].std() for x, k in zip(logits, kept, strict=True)]
        return np.where(kept, rows, 0)  # what is dropped has no share in any case

    seen = mask if masks_student else np.ones((16, 10), bool)
    expected = kd_reference(
        z(student.numpy(), seen), z(teacher.numpy(), mask), temperature, mask * 1.0, masks_student
    )
    loss = StandardisedKD(temperature=temperature)(student, teacher, keep, masks_student)
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_standardised_kd_asks_for_relations_not_for_a_range_of_logits():
    student, teacher = outputs(1, 1).logits_BK, outputs(1, 2).logits_BK
    loss = StandardisedKD()
    assert loss(teacher * 0.2 + 7, teacher, None, False).item() == pytest.approx(0, abs=1e-9)
    moved = loss(student * 5 - 1, teacher * 3 + 2, None, False).item()
    assert moved == pytest.approx(loss(student, teacher, None, False).item(), rel=1e-9)


def test_standardised_kd_has_a_gradient_where_one_class_is_left_or_all_logits_are_equal():
    teacher, student = outputs(1, 2).logits_BK, torch.zeros(16, 10, requires_grad=True)
    only = torch.zeros(16, 10, dtype=torch.bool).scatter_(1, teacher.argmax(1, keepdim=True), True)
    for keep, masks_student in ((None, False), (only, False), (only, True)):
        student.grad = None
        StandardisedKD()(student, teacher, keep, masks_student).backward()
        assert student.grad is not None and student.grad.isfinite().all()


@pytest.mark.parametrize("temperature", [0.0, math.nan, math.inf])
def test_standardised_kd_refuses_impossible_temperatures(temperature):
    with pytest.raises(ValueError, match=r"kd.temperature must be above 0"):
        StandardisedKD(temperature=temperature)


def test_the_card_of_standardised_kd_says_how_sure_an_answer_can_be():
    """The z-score of a one-hot answer is the largest that there is."""
    one_hot = torch.eye(10, dtype=torch.float64)[:1] * 50
    for temperature, most in ((1.0, 0.757), (2.0, 0.370)):
        z = (one_hot - one_hot.mean()) / one_hot.std(correction=0)
        assert torch.softmax(z / temperature, 1).max().item() == pytest.approx(most, abs=5e-4)


# ---- DKD


def dkd_reference(
    student: np.ndarray, teacher: np.ndarray, t: float, alpha: float, beta: float
) -> float:
    """mdistiller's: two-class KL on the target, and KL of the softmax over the other classes."""
    total = 0.0
    for s, z in zip(student, teacher, strict=True):
        y, others = z.argmax(), np.arange(len(z)) != z.argmax()
        p, q = (softmax(x[None] / t)[0] for x in (z, s))
        for pair_p, pair_q in ((p[y], q[y]), (1 - p[y], 1 - q[y])):
            total += alpha * pair_p * np.log(pair_p / pair_q)
        p, q = (softmax(x[None, others] / t)[0] for x in (z, s))
        total += beta * (p * np.log(p / q)).sum()
    return t**2 * total / len(student)


@pytest.mark.parametrize(
    ("temperature", "alpha", "beta"), [(4.0, 1.0, 8.0), (1.0, 1.0, 0.0), (2.0, 0.0, 3.0)]
)
def test_dkd_agrees_with_its_formula(temperature, alpha, beta):
    student, teacher = outputs(1, 1, scale=3).logits_BK, outputs(1, 2, scale=3).logits_BK
    expected = dkd_reference(student.numpy(), teacher.numpy(), temperature, alpha, beta)
    dkd = DKD(temperature=temperature, alpha=alpha, beta=beta)
    assert dkd(student, teacher, None, False).item() == pytest.approx(expected, rel=1e-6)


def test_dkd_of_dropped_classes_is_dkd_of_those_that_stay():
    student, teacher = outputs(1, 1, scale=3).logits_BK, outputs(1, 2, scale=3).logits_BK
    keep = torch.ones(16, 10, dtype=torch.bool).index_fill_(1, torch.tensor([2, 5]), False)
    keep.scatter_(1, teacher.argmax(1, keepdim=True), True)
    rows = keep[:, [2, 5]].sum(1) == 0  # neither of the two is the target
    stay = [i for i in range(10) if i not in (2, 5)]
    expected = dkd_reference(
        student[rows][:, stay].numpy(), teacher[rows][:, stay].numpy(), 4.0, 1.0, 8.0
    )
    assert DKD()(student[rows], teacher[rows], keep[rows], True).item() == pytest.approx(
        expected, rel=1e-6
    )


@pytest.mark.parametrize("masks_student", [False, True])
def test_dkd_of_samples_whose_other_classes_are_all_dropped(masks_student):
    student, teacher = outputs(1, 1).logits_BK.requires_grad_(), outputs(1, 2).logits_BK
    only = torch.zeros(16, 10, dtype=torch.bool).scatter_(1, teacher.argmax(1, keepdim=True), True)
    loss = DKD()(student, teacher, only, masks_student)
    loss.backward()
    q_B = softmax(student.detach().numpy() / 4)[np.arange(16), teacher.argmax(1).numpy()]
    expected = 0.0 if masks_student else 16 * -np.log(q_B).mean()
    assert loss.item() == pytest.approx(expected, rel=1e-6, abs=1e-12)
    assert student.grad.isfinite().all()


@pytest.mark.parametrize("kind", [KD, DKD])
def test_the_answer_of_the_teacher_costs_nothing_and_others_reach_the_student(kind):
    teacher = outputs(1, 2).logits_BK
    assert kind()(teacher, teacher, None, False).item() == pytest.approx(0, abs=1e-12)
    for dropping in (None, Tail(rate=0.8), Random(rate=0.5)):
        keep = dropping and dropping.keep(teacher, generator(0, "dropping", 0))
        student = outputs(1, 1).logits_BK.requires_grad_()
        loss = kind()(student, teacher, keep, dropping is not None and dropping.masks_student)
        loss.backward()
        assert loss > 0 and student.grad.isfinite().all() and (student.grad.abs().sum(1) > 0).any()


@pytest.mark.parametrize(
    "change", [{"alpha": -1.0}, {"beta": math.nan}, {"alpha": 0.0, "beta": 0.0}]
)
def test_dkd_refuses_impossible_factors(change):
    with pytest.raises(ValueError, match=r"kd.alpha and kd.beta must be 0 or more, not both 0"):
        DKD(**change)
    with pytest.raises(ValueError, match=r"kd.temperature must be above 0"):
        DKD(temperature=0.0)
