"""Each loss's formula again, from its source, in NumPy's double precision.

B batch, K classes, D feature width.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from losses import EQUAL, ROWS, WIDER, built, made, outputs, pair

from dfkd.method.dropping import Random, Tail
from dfkd.method.losses import (
    CRD,
    DKD,
    KD,
    PKT,
    RKD,
    SP,
    AttentionTransfer,
    FitNet,
    NTXent,
    Outputs,
    PooledFeatures,
    ReviewKD,
    Similarity,
    TeacherContrast,
)
from dfkd.method.losses.maps import averaged, repeated
from dfkd.seeding import generator

each_size = pytest.mark.parametrize("sizes", [EQUAL, WIDER], ids=["equal widths", "projected"])


def softmax(x: np.ndarray, axis: int = 1) -> np.ndarray:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x**2).sum(1, keepdims=True))


def parameter(module: torch.nn.Module, name: str) -> np.ndarray:
    return module.state_dict()[name].numpy().copy()


def normal(x: np.ndarray) -> np.ndarray:
    """BatchNorm in its first state, over all axes but the second."""
    axes = (0, *range(2, x.ndim))
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)


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
    assert (
        KD()(teacher, teacher, keep, False).item() > 0.1
    )  # the student's mass on dropped classes is to go


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


# ---- explicit: pooled features


def test_pooled_features_agree_with_their_formula():
    student, teacher = outputs(12, 1), outputs(12, 2)
    distance_BD = unit(student.features_BD.numpy()) - unit(teacher.features_BD.numpy())
    loss = made(PooledFeatures, EQUAL)(student, teacher).item()
    assert loss == pytest.approx((distance_BD**2).sum(1).mean(), rel=1e-6)


def test_pooled_features_are_projected_to_another_width():
    student, teacher = outputs(12, 1), outputs(20, 2)
    module = made(PooledFeatures, WIDER)
    weight_DE = parameter(module, "projector.0.weight")
    projected_BD = student.features_BD.numpy() @ weight_DE.T
    expected = ((unit(normal(projected_BD)) - unit(teacher.features_BD.numpy())) ** 2).sum(1).mean()
    assert module(student, teacher).item() == pytest.approx(expected, rel=1e-6)


def test_pooled_features_see_directions_only_and_opposite_ones_cost_4():
    student, teacher = outputs(12, 1), outputs(12, 2)
    module = made(PooledFeatures, EQUAL)
    longer = Outputs(student.logits_BK, student.features_BD * 7)
    assert module(longer, teacher).item() == pytest.approx(
        module(student, teacher).item(), rel=1e-9
    )
    opposite = Outputs(student.logits_BK, -student.features_BD)
    assert module(opposite, student).item() == pytest.approx(4)


# ---- explicit: maps


def convolved(x: np.ndarray, weight: np.ndarray, stride: int = 1, padding: int = 0) -> np.ndarray:
    """Cross-correlation, place by place."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    k = weight.shape[2]
    side = (x.shape[2] - k) // stride + 1
    starts = range(0, stride * side, stride)
    places = [[x[:, :, i : i + k, j : j + k] for j in starts] for i in starts]
    return np.einsum("ijbckl,ockl->boij", np.array(places), weight)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"), [(4, 1, 1, 0), (2, 3, 2, 1), (3, 2, 1, 0)]
)
def test_fitnet_agrees_with_its_formula(size, kernel, stride, padding):
    """mean (ReLU(BN(conv F_S)) - F_T)^2, with RepDistiller's convolution for a teacher's map of
    this size.
    """
    sizes = replace(EQUAL, teacher_maps=((8, 8, 8), (24, size, size)))
    student, teacher = pair(sizes)
    module = made(FitNet, sizes)
    weight, bias = (parameter(module, f"regressor.0.{name}") for name in ("weight", "bias"))
    assert weight.shape == (24, 16, kernel, kernel)
    regressed = convolved(student.maps[1].numpy(), weight, stride, padding) + bias[:, None, None]
    expected = ((np.maximum(normal(regressed), 0) - teacher.maps[1].numpy()) ** 2).mean()
    assert module(student, teacher).item() == pytest.approx(expected, rel=1e-6)


def test_fitnet_makes_a_map_larger_where_the_teachers_is():
    student, teacher = pair(WIDER)
    module = built(FitNet(stage=1), WIDER)
    weight, bias = (
        parameter(module, f"regressor.0.{name}") for name in ("weight", "bias")
    )  # [C, C', 4, 4]
    spread = np.zeros(
        (16, 8, 17, 17)
    )  # a transposed convolution of stride 2 is one over a map with gaps
    spread[:, :, 1:16:2, 1:16:2] = student.maps[0].numpy()
    regressed = (
        convolved(spread, weight.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1], padding=1)
        + bias[:, None, None]
    )
    expected = ((np.maximum(normal(regressed), 0) - teacher.maps[0].numpy()) ** 2).mean()
    assert module(student, teacher).item() == pytest.approx(expected, rel=1e-6)


def pooled(x: np.ndarray, size: int) -> np.ndarray:
    """Means of even parts; the sizes in these tests divide."""
    batch, channels, side, _ = x.shape
    return x.reshape(batch, channels, size, side // size, size, side // size).mean((3, 5))


@each_size
def test_attention_transfer_agrees_with_its_formula(sizes):
    student, teacher = pair(sizes)
    expected = 0.0
    for s, t in zip(student.maps, teacher.maps, strict=True):
        size = min(s.shape[2], t.shape[2])
        a_s, a_t = (unit((pooled(x.numpy(), size) ** 2).mean(1).reshape(16, -1)) for x in (s, t))
        expected += ((a_s - a_t) ** 2).mean()
    assert made(AttentionTransfer, sizes)(student, teacher).item() == pytest.approx(
        expected, rel=1e-6
    )


def nearest(x: np.ndarray, size: int) -> np.ndarray:
    places = np.arange(size) * x.shape[2] // size
    return x[:, :, places][:, :, :, places]


@each_size
def test_review_kd_agrees_with_its_formula(sizes):
    """ReviewKD's ABF from the last stage to the first, and HCL; pooled features are a stage of
    1x1.
    """
    student, teacher = pair(sizes)
    module = made(ReviewKD, sizes)
    mine = [*(m.numpy() for m in student.maps), student.features_BD.numpy()[:, :, None, None]]
    theirs = [*(m.numpy() for m in teacher.maps), teacher.features_BD.numpy()[:, :, None, None]]
    expected, later = 0.0, None
    for i, (s, t) in enumerate(zip(reversed(mine), reversed(theirs), strict=True)):
        x = normal(convolved(s, parameter(module, f"fusions.{i}.narrow.0.weight")))
        if later is not None:
            y = nearest(later, s.shape[2])
            weight, bias = (
                parameter(module, f"fusions.{i}.attention.{name}") for name in ("weight", "bias")
            )
            z = np.einsum("bchw,oc->bohw", np.concatenate([x, y], 1), weight) + bias[:, None, None]
            share = 1 / (1 + np.exp(-z))
            x = x * share[:, :1] + y * share[:, 1:]
        later = nearest(x, t.shape[2])
        said = normal(convolved(later, parameter(module, f"fusions.{i}.widen.0.weight"), padding=1))
        loss, weight, total = ((said - t) ** 2).mean(), 1.0, 1.0
        for level in (4, 2, 1):
            if level < said.shape[2]:
                weight /= 2
                total += weight
                loss += weight * ((pooled(said, level) - pooled(t, level)) ** 2).mean()
        expected += loss / total
    assert module(student, teacher).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 5), (4, 8), (1, 1), (3, 12)])
def test_maps_change_their_size_as_pytorch_does_it(height, width):
    map_BCHW = outputs(1, 1).maps[0]
    given = torch.nn.functional.adaptive_avg_pool2d(map_BCHW, (height, width))
    assert averaged(map_BCHW, height, width).allclose(given, rtol=1e-12)
    assert repeated(map_BCHW, height, width).equal(
        torch.nn.functional.interpolate(map_BCHW, (height, width))
    )


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
        masks_student = dropping is not None and dropping.masks_student
        loss = kind()(student, teacher, keep, masks_student)
        loss.backward()
        assert loss > 0 and student.grad.isfinite().all() and (student.grad.abs().sum(1) > 0).any()
        if masks_student:
            assert (student.grad[~keep] == 0).all()


@pytest.mark.parametrize("kind", [KD, DKD])
def test_nothing_dropped_is_the_loss_without_dropping(kind):
    student, teacher = outputs(1, 1).logits_BK, outputs(1, 2).logits_BK
    everything = torch.ones(16, 10, dtype=torch.bool)
    for masks_student in (False, True):
        kept = kind()(student, teacher, everything, masks_student).item()
        assert kept == pytest.approx(kind()(student, teacher, None, masks_student).item(), rel=1e-9)


@pytest.mark.parametrize(
    "change", [{"alpha": -1.0}, {"beta": math.nan}, {"alpha": 0.0, "beta": 0.0}]
)
def test_dkd_refuses_impossible_factors(change):
    with pytest.raises(ValueError, match=r"kd.alpha and kd.beta must be 0 or more, not both 0"):
        DKD(**change)
    with pytest.raises(ValueError, match=r"kd.temperature must be above 0"):
        DKD(temperature=0.0)


# ---- implicit: relations


def smooth_l1(x: np.ndarray) -> float:
    return float(np.where(np.abs(x) < 1, x**2 / 2, np.abs(x) - 0.5).mean())


def rkd_reference(student: np.ndarray, teacher: np.ndarray) -> tuple[float, float]:
    """RepDistiller's distance and angle terms."""
    distances, angles = [], []
    for f in (student, teacher):
        away = f[None] - f[:, None]
        d = np.sqrt((away**2).sum(2))
        distances.append(d / d[d > 0].mean())
        e = away / np.maximum(d, 1e-12)[:, :, None]
        angles.append(np.einsum("ijd,ikd->ijk", e, e))
    return smooth_l1(distances[0] - distances[1]), smooth_l1(angles[0] - angles[1])


@each_size
def test_rkd_agrees_with_its_formula(sizes):
    student, teacher = pair(sizes, scale=3)
    distance, angle = rkd_reference(student.features_BD.numpy(), teacher.features_BD.numpy())
    assert RKD().module(sizes)(student, teacher).item() == pytest.approx(
        25 * distance + 50 * angle, rel=1e-6
    )
    one = RKD(distance=2.0, angle=0.0).module(sizes)(student, teacher).item()
    assert one == pytest.approx(2 * distance, rel=1e-6)


@each_size
@pytest.mark.parametrize("batch", [16, 128])
def test_sp_agrees_with_its_formula_times_the_batch_over_64(sizes, batch):
    student, teacher = pair(sizes, batch)
    g_s, g_t = (unit(f @ f.T) for f in (student.features_BD.numpy(), teacher.features_BD.numpy()))
    expected = ((g_s - g_t) ** 2).sum() / batch**2 * batch / 64
    assert SP().module(sizes)(student, teacher).item() == pytest.approx(expected, rel=1e-6)


@each_size
@pytest.mark.parametrize("batch", [16, 128])
def test_pkt_agrees_with_its_formula_times_the_batch_over_64(sizes, batch):
    student, teacher = pair(sizes, batch)
    shares = []
    for f in (student.features_BD.numpy(), teacher.features_BD.numpy()):
        similarity = (unit(f) @ unit(f).T + 1) / 2
        shares.append(similarity / similarity.sum(1, keepdims=True))
    p_s, p_t = shares
    expected = (p_t * np.log((p_t + 1e-7) / (p_s + 1e-7))).mean() * batch / 64
    assert PKT().module(sizes)(student, teacher).item() == pytest.approx(expected, rel=1e-6)


# ---- implicit: contrasts


def test_teacher_contrast_agrees_with_its_formula():
    student, teacher = pair(EQUAL)
    logits = unit(student.features_BD.numpy()) @ unit(teacher.features_BD.numpy()).T / 0.2
    expected = -np.log(np.diag(softmax(logits))).mean()
    assert TeacherContrast(tau=0.2).module(EQUAL)(student, teacher).item() == pytest.approx(
        expected, rel=1e-6
    )


def test_teacher_contrast_projects_to_another_width():
    student, teacher = pair(WIDER)
    module = made(TeacherContrast, WIDER)
    projected = normal(student.features_BD.numpy() @ parameter(module, "projector.0.weight").T)
    expected = -np.log(
        np.diag(softmax(unit(projected) @ unit(teacher.features_BD.numpy()).T / 0.1))
    ).mean()
    assert module(student, teacher).item() == pytest.approx(expected, rel=1e-6)


def test_nt_xent_agrees_with_its_formula():
    """SimCLR's, image by image."""
    student, teacher = pair(EQUAL)
    z = unit(np.concatenate([student.features_BD.numpy(), student.second.features_BD.numpy()]))
    total = 0.0
    for i in range(32):
        away = np.exp(z @ z[i] / 0.5)
        total -= np.log(away[(i + 16) % 32] / (away.sum() - away[i]))
    assert NTXent().module(EQUAL)(student, teacher).item() == pytest.approx(total / 32, rel=1e-6)


def crd_reference(
    v: np.ndarray, bank: np.ndarray, places: np.ndarray, scale: float | None
) -> tuple[float, float]:
    """RepDistiller's ContrastMemory and ContrastLoss for one side: loss and normalising
    constant.
    """
    rows, negatives = len(bank), places.shape[1] - 1
    out = np.exp(np.einsum("be,bje->bj", v, bank[places]) / 0.07)
    scale = out.mean() * rows if scale is None else scale
    out, noise = out / scale, negatives / rows
    log_own = np.log(out[:, 0] / (out[:, 0] + noise + 1e-7))
    log_not = np.log(noise / (out[:, 1:] + noise + 1e-7))
    return -(log_own.sum() + log_not.sum()) / len(v), scale


@pytest.mark.parametrize("negatives", [8, 64], ids=["fewer than rows", "more than rows"])
def test_crd_agrees_with_its_formula_over_three_steps(negatives):
    module = built(CRD(dim=8, negatives=negatives), WIDER)
    banks = {side: parameter(module, f"{side}.bank_NE") for side in ("student", "teacher")}
    scales: dict[str, float | None] = {"student": None, "teacher": None}
    for seed in (1, 2, 3):
        student, teacher = pair(WIDER, seed=seed)
        places, rows = (
            module._places(teacher.rows_B, seed=teacher.seed).numpy(),
            teacher.rows_B.numpy(),
        )
        features = {"student": student.features_BD.numpy(), "teacher": teacher.features_BD.numpy()}
        v = {
            side: unit(
                f @ parameter(module, f"{side}.linear.weight").T
                + parameter(module, f"{side}.linear.bias")
            )
            for side, f in features.items()
        }
        expected = 0.0
        for mine, others in (("student", "teacher"), ("teacher", "student")):
            part, scales[others] = crd_reference(v[mine], banks[others], places, scales[others])
            expected += part
        assert module(student, teacher).item() == pytest.approx(expected, rel=1e-6)
        for side, bank in banks.items():
            bank[rows] = unit(0.5 * bank[rows] + 0.5 * v[side])
    assert len(banks["student"]) == ROWS
