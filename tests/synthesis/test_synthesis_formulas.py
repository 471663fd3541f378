"""What images are synthesised by, against references written out by hand.

B images, K classes, D feature width.
"""

import numpy as np
import pytest
import torch
from torch import nn

from dfkd.data.tasks import Digits
from dfkd.models.networks.network import Tapped
from dfkd.synthesis import Dafl, FastDfkd, losses
from dfkd.synthesis.fast_dfkd import Judge
from dfkd.synthesis.generator import ImageGenerator
from dfkd.synthesis.pool import normalised, pixels
from dfkd.testing.runs import small_inputs

LOGITS_BK = torch.tensor([[2.0, 0.0, -1.0], [0.5, 1.0, 3.0]], dtype=torch.float64)


def softmax(logits_BK: np.ndarray) -> np.ndarray:
    exp_BK = np.exp(logits_BK)
    return exp_BK / exp_BK.sum(1, keepdims=True)


def test_one_hot_is_the_cross_entropy_with_the_class_that_is_wanted_or_most_likely():
    probability_BK = softmax(LOGITS_BK.numpy())
    own = -(np.log(probability_BK[0, 0]) + np.log(probability_BK[1, 2])) / 2
    wanted = -(np.log(probability_BK[0, 1]) + np.log(probability_BK[1, 0])) / 2
    assert losses.one_hot(LOGITS_BK).item() == pytest.approx(own)
    assert losses.one_hot(LOGITS_BK, torch.tensor([1, 0])).item() == pytest.approx(wanted)


def test_information_is_least_where_all_classes_are_as_frequent():
    mean_K = softmax(LOGITS_BK.numpy()).mean(0)
    expected = (mean_K * np.log(mean_K)).sum()
    assert losses.information(LOGITS_BK).item() == pytest.approx(expected)
    assert losses.information(torch.zeros(4, 3)).item() == pytest.approx(-np.log(3))
    sure_BK = torch.tensor([[1000.0, 0.0, 0.0]]).requires_grad_()
    losses.information(sure_BK).backward()
    assert sure_BK.grad.isfinite().all()


def test_activation_is_minus_the_mean_absolute_feature():
    assert losses.activation(torch.tensor([[1.0, -2.0], [3.0, 0.0]])).item() == -1.5


def test_dafl_weighs_its_three_losses():
    pool, features_BD = Dafl(one_hot=2.0, activation=0.5, information=3.0), torch.ones(2, 4)
    expected = 2 * losses.one_hot(LOGITS_BK) - 0.5 + 3 * losses.information(LOGITS_BK)
    assert pool.loss(LOGITS_BK, features_BD).item() == pytest.approx(expected.item())


def test_statistics_are_two_norms_for_each_layer():
    layers = nn.Sequential(nn.BatchNorm2d(2), nn.Flatten(), nn.BatchNorm1d(8), nn.Linear(8, 3))
    rng = np.random.default_rng(0)
    for layer in (layers[0], layers[2]):
        layer.running_mean.copy_(torch.from_numpy(rng.normal(size=layer.num_features)))
        layer.running_var.copy_(torch.from_numpy(rng.uniform(0.5, 2, layer.num_features)))
    layers.eval()
    images_BCHW = torch.from_numpy(rng.normal(size=(5, 2, 2, 2)).astype(np.float32))
    expected = 0.0
    for layer, axes in ((layers[0], (0, 2, 3)), (layers[2], (0,))):
        inputs = (images_BCHW if layer is layers[0] else layers[:2](images_BCHW)).detach().numpy()
        mean, variance = inputs.mean(axes), inputs.var(axes)
        expected += np.linalg.norm(mean - layer.running_mean.numpy())
        expected += np.linalg.norm(variance - layer.running_var.numpy())
    found = losses.Statistics(layers)
    layers(images_BCHW)
    assert found.loss().item() == pytest.approx(expected, rel=1e-5)


def test_fast_dfkds_loss_and_the_way_of_its_common_start():
    pool, task = FastDfkd(one_hot=0.5, batch_norm=2.0, common=0.25), Digits()
    teacher = Tapped(small_inputs().teacher.build(task)).eval()
    judge, other = Judge(pool, teacher, task), losses.Statistics(teacher)
    images_BCHW, class_B = torch.rand(6, 1, 16, 16), torch.arange(6)
    loss = judge(images_BCHW, class_B)
    logits_BK, _ = teacher((images_BCHW - task.mean[0]) / task.std[0])
    other._far = other._far[: len(other._far) // 2]  # it has heard the first pass twice
    expected = 0.5 * losses.one_hot(logits_BK, class_B) + 2 * other.loss()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    common, made = (ImageGenerator(3, 2, task.image_shape) for _ in range(2))
    before = common.project.weight.clone()
    pool._move(common, made)
    expected_weight = 0.75 * before + 0.25 * made.project.weight
    assert torch.allclose(common.project.weight, expected_weight, atol=1e-7)


def test_a_synthesised_batch_has_a_smaller_loss_than_it_began_with():
    pool, task = FastDfkd(batch=20, steps=8, width=4, rows=100), Digits()
    teacher = Tapped(small_inputs().teacher.build(task)).eval().requires_grad_(False)
    judge, class_B = Judge(pool, teacher, task), torch.arange(20) % 10
    torch.manual_seed(0)
    made, latent_BZ = ImageGenerator(100, 4, task.image_shape), torch.randn(20, 100)
    before = judge(made(latent_BZ), class_B).item()
    images_BCHW = pool._adapted(made, latent_BZ, class_B, judge)
    assert judge(images_BCHW, class_B).item() < before


@pytest.mark.parametrize("shape", [(16, 16, 1), (28, 28, 1), (9, 14, 3)])
def test_images_have_the_tasks_shape_in_0_to_1(shape):
    images_BCHW = ImageGenerator(5, 2, shape)(torch.randn(3, 5))
    assert images_BCHW.shape == (3, shape[2], *shape[:2])
    assert images_BCHW.min() >= 0 and images_BCHW.max() <= 1


def test_stored_images_are_seen_by_the_teacher_as_when_they_were_made():
    from dfkd.data.images.transforms import to_tensor

    task, images_BCHW = Digits(), torch.rand(4, 1, 16, 16)
    stored = to_tensor(pixels(images_BCHW), task)
    half_a_level = 0.5 / 255 / task.std[0] + 1e-5
    assert torch.allclose(stored, normalised(images_BCHW, task), atol=half_a_level)
