"""Each explicit loss's formula again, from its source, in NumPy's double precision.

B batch, D feature width.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from reference import normal, parameter, unit

from dfkd.method.losses import (
    AttentionTransfer,
    FitNet,
    Outputs,
    PooledFeatures,
    ReviewKD,
    SharedClassifier,
    ViewAgreement,
)
from dfkd.method.losses.maps import averaged, repeated
from dfkd.testing.outputs import EQUAL, WIDER, built, outputs, pair

each_size = pytest.mark.parametrize("sizes", [EQUAL, WIDER], ids=["equal widths", "projected"])


# ---- explicit: pooled features


def test_pooled_features_agree_with_their_formula():
    student, teacher = outputs(12, 1), outputs(12, 2)
    distance_BD = unit(student.features_BD.numpy()) - unit(teacher.features_BD.numpy())
    loss = built(PooledFeatures.example(), EQUAL)(student, teacher).item()
    assert loss == pytest.approx((distance_BD**2).sum(1).mean(), rel=1e-6)


def test_pooled_features_are_projected_to_another_width():
    student, teacher = outputs(12, 1), outputs(20, 2)
    module = built(PooledFeatures.example(), WIDER)
    weight_DE = parameter(module, "projector.0.weight")
    projected_BD = student.features_BD.numpy() @ weight_DE.T
    expected = ((unit(normal(projected_BD)) - unit(teacher.features_BD.numpy())) ** 2).sum(1).mean()
    assert module(student, teacher).item() == pytest.approx(expected, rel=1e-6)


def test_pooled_features_see_directions_only_and_opposite_ones_cost_4():
    student, teacher = outputs(12, 1), outputs(12, 2)
    module = built(PooledFeatures.example(), EQUAL)
    longer = Outputs(student.logits_BK, student.features_BD * 7)
    assert module(longer, teacher).item() == pytest.approx(
        module(student, teacher).item(), rel=1e-9
    )
    opposite = Outputs(student.logits_BK, -student.features_BD)
    assert module(opposite, student).item() == pytest.approx(4)


# ---- explicit: the teacher's classifier


def log_softmax(logits_BK: np.ndarray) -> np.ndarray:
    return logits_BK - np.log(np.exp(logits_BK).sum(axis=1, keepdims=True))


def test_a_shared_classifier_reads_projected_features_with_the_teachers_layer():
    student, teacher = outputs(12, 1), outputs(20, 2)
    module = built(SharedClassifier(temperature=2.0), WIDER)
    projected_BD = student.features_BD.numpy() @ parameter(module, "projector.0.weight").T
    head_KD = np.linspace(-1, 1, 200).reshape(10, 20)
    log_q_BK = log_softmax(np.maximum(normal(projected_BD), 0) @ head_KD.T / 2)
    log_p_BK = log_softmax(teacher.features_BD.numpy() @ head_KD.T / 2)
    expected = 4 * (np.exp(log_p_BK) * (log_p_BK - log_q_BK)).sum(axis=1).mean()
    assert module(student, teacher).item() == pytest.approx(expected, rel=1e-5)


def test_the_shared_classifier_itself_is_not_trained():
    module = built(SharedClassifier(), EQUAL)
    assert {name.split(".")[0] for name, _ in module.named_parameters()} == {"projector"}
    assert {"weight_KD", "bias_K"} < set(module.state_dict())
    with pytest.raises(ValueError, match="needs the teacher's last layer"):
        SharedClassifier().module(replace(EQUAL, teacher_head=None))


# ---- explicit: answers that agree over views


def test_view_agreement_weighs_each_row_by_its_answers_so_far():
    module, student = built(ViewAgreement(temperature=2.0), EQUAL), outputs(12, 1, batch=4)
    log_q_BK = log_softmax(student.logits_BK.numpy() / 2)
    seen: dict[int, list[int]] = {}
    for step in range(6):
        teacher = replace(outputs(12, 10 + step, batch=4), rows_B=torch.tensor([3, 0, 7, 9 + step]))
        teacher.logits_BK[0, 5] = 9  # row 3 says class 5 of each of its views
        logits_BK, share_B = teacher.logits_BK.numpy(), np.zeros(4)
        for place, row in enumerate(teacher.rows_B.tolist()):
            seen[row] = [*seen.get(row, []), int(logits_BK[place].argmax())]
            agreed = 1 + sum(one == other for one, other in pairwise(seen[row]))
            share_B[place] = agreed / len(seen[row])
        log_p_BK = log_softmax(logits_BK / 2)
        apart_B = (np.exp(log_p_BK) * (log_p_BK - log_q_BK)).sum(axis=1)
        expected = 4 * (share_B * apart_B).mean()
        assert module(student, teacher).item() == pytest.approx(expected, rel=1e-6)
        assert share_B[0] == 1
    assert min(module.agreed_N[[0, 7]] / module.seen_N[[0, 7]]) < 1


def test_view_agreement_counts_a_row_that_a_batch_shows_twice_twice():
    module, teacher = built(ViewAgreement(), EQUAL), outputs(12, 1, batch=2)
    teacher = replace(teacher, rows_B=torch.tensor([4, 4]))
    module(outputs(12, 2, batch=2), teacher)
    assert module.seen_N[4] == 2 and module.seen_N.sum() == 2


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
    """mean (ReLU(BN(conv F_S)) - F_T)^2, with RepDistiller's convolution for a map of this size."""
    sizes = replace(EQUAL, teacher_maps=((8, 8, 8), (24, size, size)))
    student, teacher = pair(sizes)
    module = built(FitNet.example(), sizes)
    weight, bias = (parameter(module, f"regressor.0.{name}") for name in ("weight", "bias"))
    assert weight.shape == (24, 16, kernel, kernel)
    regressed = convolved(student.maps[1].numpy(), weight, stride, padding) + bias[:, None, None]
    expected = ((np.maximum(normal(regressed), 0) - teacher.maps[1].numpy()) ** 2).mean()
    assert module(student, teacher).item() == pytest.approx(expected, rel=1e-6)


def test_fitnet_makes_a_map_larger_where_the_teachers_is():
    student, teacher = pair(WIDER)
    module = built(FitNet(stage=1), WIDER)
    # [C, C', 4, 4]
    weight, bias = (parameter(module, f"regressor.0.{name}") for name in ("weight", "bias"))
    # a transposed convolution of stride 2 is one over a map with gaps
    spread = np.zeros((16, 8, 17, 17))
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
    assert built(AttentionTransfer.example(), sizes)(student, teacher).item() == pytest.approx(
        expected, rel=1e-6
    )


def nearest(x: np.ndarray, size: int) -> np.ndarray:
    places = np.arange(size) * x.shape[2] // size
    return x[:, :, places][:, :, :, places]


@each_size
def test_review_kd_agrees_with_its_formula(sizes):
    """ReviewKD's ABF from the last stage to the first, and HCL; pooled features are a 1x1 stage."""
    student, teacher = pair(sizes)
    module = built(ReviewKD.example(), sizes)
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
