"""Each implicit loss's formula again, from its source, in NumPy's double precision.

B batch, D feature width.
"""

import numpy as np
import pytest
from reference import normal, parameter, softmax, unit

from dfkd.method.losses import CRD, PKT, RKD, SP, NTXent, Outputs, Similarity, TeacherContrast
from dfkd.testing.outputs import EQUAL, ROWS, WIDER, built, outputs, pair

each_size = pytest.mark.parametrize("sizes", [EQUAL, WIDER], ids=["equal widths", "projected"])


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
    module = built(TeacherContrast.example(), WIDER)
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
    """RepDistiller's ContrastMemory and ContrastLoss for one side: loss and constant."""
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
