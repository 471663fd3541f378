"""A mistake in a user's own loss or dropping is one line with their file, before any step."""

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from torch import nn

from dfkd.method.dropping import BaseDropping
from dfkd.method.losses import CRD, AttentionTransfer, BaseLoss
from dfkd.testing.runs import small_experiment
from dfkd.training.objective import Objective
from dfkd.training.own_losses import check_own_losses


class _Broken(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient @ gradient


class _Module(nn.Module):
    def __init__(self, mistake: str) -> None:
        super().__init__()
        self.mistake = mistake

    def forward(self, student, teacher):
        if self.mistake == "a name":
            return student.featuresBD.sum()
        if self.mistake == "a shape":
            return (student.features_BD @ teacher.logits_BK).sum()
        if self.mistake == "a ValueError":
            return nn.functional.cross_entropy(student.logits_BK, teacher.logits_BK.argmax(1)[1:])
        if self.mistake == "a derivative":
            return _Broken.apply(student.features_BD).sum()
        if self.mistake == "no mean":
            return student.features_BD.square().mean(1)
        if self.mistake == "no tensor":
            return student.features_BD.mean().item()
        if self.mistake == "no gradient":
            return student.features_BD.detach().mean()
        return (student.features_BD.mean(1) - teacher.features_BD.mean(1)).square().mean()


@dataclass(frozen=True, kw_only=True)
class Own(BaseLoss):
    weight: float = 1.0
    ramp: float = 0.0
    mistake: str = ""
    version: ClassVar[int] = 1

    def module(self, sizes):
        return _Module(self.mistake)


@dataclass(frozen=True, kw_only=True)
class OwnDropping(BaseDropping):
    masks_student: ClassVar[bool] = False
    version: ClassVar[int] = 1

    def canonical(self, classes):
        return self

    def keep(self, logits_BK, drawn_from, temperature=1.0):
        return logits_BK > logits_BK.median(1)  # a tensor and its indices


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        ("a name", "forward: AttributeError: 'Outputs'"),
        ("a shape", "forward: RuntimeError: mat1"),
        ("a ValueError", r"forward: Expected input batch_size \(4\)"),
        ("a derivative", "backward: RuntimeError: "),
    ],
)
def test_a_mistake_is_a_line_with_the_loss_and_the_users_file(mistake, said):
    line = rf"^explicit \(Own\): test_own_losses\.py:\d+ in {said}"
    with pytest.raises(ValueError, match=line) as caught:
        check_own_losses(replace(small_experiment(), explicit=Own(mistake=mistake)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        ("no mean", r"one number, a tensor of shape \(\), but explicit \(Own\) gave shape \(4,\)"),
        ("no tensor", r"one number, .* explicit \(Own\) gave -?\d"),
        (
            "no gradient",
            r"^explicit \(Own\) gave a loss from which nothing can be learned: compute it",
        ),
    ],
)
def test_what_is_no_loss_to_learn_from_is_a_line(mistake, said):
    with pytest.raises(ValueError, match=said):
        check_own_losses(replace(small_experiment(), explicit=Own(mistake=mistake)))


def test_a_mistake_in_a_dropping_is_found_as_well():
    with pytest.raises(ValueError, match=r"^test_own_losses\.py:\d+ in keep: TypeError"):
        check_own_losses(replace(small_experiment(), dropping=OwnDropping()))


@pytest.mark.parametrize(
    "beside", [{}, {"implicit": AttentionTransfer(weight=1.0)}, {"implicit": CRD(weight=1.0)}]
)
def test_a_sound_loss_passes_whatever_stands_beside_it_and_moves_no_random_state(beside):
    before = torch.random.get_rng_state()
    check_own_losses(replace(small_experiment(), explicit=Own(), **beside))
    assert torch.random.get_rng_state().equal(before)


def test_our_own_losses_are_not_tried(monkeypatch):
    experiment = small_experiment()
    monkeypatch.setattr(Objective, "__init__", lambda *_, **__: pytest.fail("it is tried"))
    check_own_losses(experiment)
