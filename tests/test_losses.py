"""Losses: what all of them promise, and each one's formula again in NumPy's double precision.

B batch, K classes, D feature width of the teacher, E of the student.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from dfkd.method.dropping import Random, Tail
from dfkd.method.losses import KD, LOSSES, Loss, Outputs, PooledFeatures, Similarity, Sizes
from dfkd.randomness import generator

RECIPES: dict[type[Loss], Callable[[float], Loss]] = {
    PooledFeatures: lambda weight: PooledFeatures(weight=weight),
    Similarity: lambda weight: Similarity(weight=weight),
}
EQUAL = Sizes(classes=10, student_width=12, teacher_width=12)
WIDER = Sizes(classes=10, student_width=12, teacher_width=20)
each_loss = pytest.mark.parametrize("kind", LOSSES, ids=lambda kind: kind.__name__)
each_size = pytest.mark.parametrize("sizes", [EQUAL, WIDER], ids=["equal widths", "projected"])


def outputs(width: int, seed: int, batch: int = 16, scale: float = 1.0) -> Outputs:
    """In double precision."""
    g = torch.Generator().manual_seed(seed)
    draw = [torch.randn(batch, count, generator=g, dtype=torch.float64) * scale for count in (10, width)]
    return Outputs(*draw)


def made(kind: type[Loss], sizes: Sizes, weight: float = 1.0) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return RECIPES[kind](weight).module(sizes).double()


def softmax(x: np.ndarray, axis: int = 1) -> np.ndarray:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x**2).sum(1, keepdims=True))


# ---- what all losses have in common


def test_every_listed_loss_is_tested():
    assert set(RECIPES) == set(LOSSES)


@each_loss
@each_size
def test_a_loss_is_one_finite_number_not_below_0(kind, sizes):
    for scale in (1e-3, 1.0, 1e3):
        loss = made(kind, sizes)(outputs(12, 1, scale=scale), outputs(sizes.teacher_width, 2, scale=scale))
        assert loss.shape == () and loss.isfinite() and loss >= 0


@each_loss
def test_equal_features_cost_nothing(kind):
    same = outputs(12, 1)
    assert made(kind, EQUAL)(same, same).item() == pytest.approx(0, abs=1e-12)


@each_loss
@each_size
def test_gradients_reach_the_student_and_what_is_trained_beside_it(kind, sizes):
    module, student = made(kind, sizes), outputs(12, 1)
    student.features_BD.requires_grad_()
    module(student, outputs(sizes.teacher_width, 2)).backward()
    assert student.features_BD.grad is not None
    assert (student.features_BD.grad.abs().sum(1) > 0).all()  # every image's
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


@each_loss
@each_size
def test_the_order_of_the_batch_does_not_matter(kind, sizes):
    module, student, teacher = made(kind, sizes), outputs(12, 1), outputs(sizes.teacher_width, 2)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(3))
    turned = [Outputs(o.logits_BK[order], o.features_BD[order]) for o in (student, teacher)]
    assert module(*turned).item() == pytest.approx(module(student, teacher).item(), rel=1e-9)


@each_loss
def test_no_loss_applies_its_own_weight(kind):
    pair = outputs(12, 1), outputs(20, 2)
    assert made(kind, WIDER, weight=1.0)(*pair).item() == made(kind, WIDER, weight=7.0)(*pair).item()


@each_loss
def test_nothing_is_trained_that_the_widths_do_not_ask_for(kind):
    assert not list(made(kind, EQUAL).parameters())


@each_loss
def test_impossible_weights_and_ramps_are_refused(kind):
    for weight in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="a loss weight must be 0 or more, but got weight="):
            RECIPES[kind](weight)
    for ramp in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=r"ramp must lie in \[0, 1\]"):
            replace(RECIPES[kind](1.0), ramp=ramp)


# ---- KD


def kd_reference(student: np.ndarray, teacher: np.ndarray, t: float, keep: np.ndarray, masks_student: bool) -> float:
    total = 0.0
    for s, z, k in zip(student, teacher, keep, strict=True):
        p = np.exp(z / t) * k / (np.exp(z / t) * k).sum()
        seen = k if masks_student else np.ones_like(k)
        log_q = s / t - np.log((np.exp(s / t) * seen).sum())
        total += sum(p[j] * (np.log(p[j]) - log_q[j]) for j in range(len(p)) if k[j])
    return t**2 * total / len(student)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
@pytest.mark.parametrize("dropping", [None, Tail(rate=0.3), Tail(rate=0.8), Random(rate=0.5)], ids=str)
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
    assert KD()(teacher, teacher, keep, False).item() > 0.1  # the student's mass on dropped classes is to go


def test_kd_stays_finite_where_one_class_is_all():
    teacher, student = torch.zeros(4, 10), torch.zeros(4, 10, requires_grad=True)
    teacher[:, 3] = 1e4
    KD(temperature=1.0)(student, teacher, Tail(rate=0.8).keep(teacher, generator(0, "dropping", 0)), False).backward()
    assert student.grad is not None and student.grad.isfinite().all()


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_kd_refuses_impossible_temperatures(temperature):
    with pytest.raises(ValueError, match=r"kd.temperature must be above 0"):
        KD(temperature=temperature)


# ---- explicit: pooled features


def test_pooled_features_agree_with_their_formula():
    student, teacher = outputs(12, 1), outputs(12, 2)
    distance_BD = unit(student.features_BD.numpy()) - unit(teacher.features_BD.numpy())
    loss = made(PooledFeatures, EQUAL)(student, teacher).item()
    assert loss == pytest.approx((distance_BD**2).sum(1).mean(), rel=1e-6)


def test_pooled_features_are_projected_to_another_width():
    student, teacher = outputs(12, 1), outputs(20, 2)
    module = made(PooledFeatures, WIDER)
    weight_DE = dict(module.named_parameters())["projector.0.weight"].detach().numpy()
    projected_BD = student.features_BD.numpy() @ weight_DE.T
    normal_BD = (projected_BD - projected_BD.mean(0)) / np.sqrt(projected_BD.var(0) + 1e-5)
    expected = ((unit(normal_BD) - unit(teacher.features_BD.numpy())) ** 2).sum(1).mean()
    assert module(student, teacher).item() == pytest.approx(expected, rel=1e-6)


def test_pooled_features_see_directions_only_and_opposite_ones_cost_4():
    student, teacher = outputs(12, 1), outputs(12, 2)
    module = made(PooledFeatures, EQUAL)
    longer = Outputs(student.logits_BK, student.features_BD * 7)
    assert module(longer, teacher).item() == pytest.approx(module(student, teacher).item(), rel=1e-9)
    opposite = Outputs(student.logits_BK, -student.features_BD)
    assert module(opposite, student).item() == pytest.approx(4)


# ---- implicit: similarity


def similarity_reference(student: np.ndarray, teacher: np.ndarray, tau: float) -> float:
    total, batch = 0.0, len(student)
    for i in range(batch):
        others = [j for j in range(batch) if j != i]
        cosines = [(unit(x) @ unit(x).T)[i, others] / tau for x in (teacher, student)]
        p, q = (softmax(c[None])[0] for c in cosines)
        total += (p * np.log(p / q)).sum()
    return total / batch


@pytest.mark.parametrize("tau", [0.05, 0.1, 1.0])
@each_size
def test_similarity_agrees_with_its_formula(tau, sizes):
    student, teacher = outputs(12, 1), outputs(sizes.teacher_width, 2)
    expected = similarity_reference(student.features_BD.numpy(), teacher.features_BD.numpy(), tau)
    module = Similarity(weight=1.0, tau=tau).module(sizes)
    assert module(student, teacher).item() == pytest.approx(expected, rel=1e-6)
    single = [Outputs(o.logits_BK.float(), o.features_BD.float()) for o in (student, teacher)]
    assert module(*single).item() == pytest.approx(expected, rel=1e-4)


def test_similarity_hardly_depends_on_the_size_of_the_batch():
    """Similarity-preserving distillation (SP), divided by B^2, would be an eighth."""

    def expected(batch: int) -> float:
        pairs = [(outputs(12, 2 * i, batch), outputs(20, 2 * i + 1, batch)) for i in range(2048 // batch)]
        return float(np.mean([made(Similarity, WIDER)(*pair).item() for pair in pairs]))

    assert expected(512) == pytest.approx(expected(64), rel=0.15)


def test_similarity_refuses_impossible_temperatures():
    for tau in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match=r"implicit.tau must be above 0"):
            Similarity(weight=1.0, tau=tau)
