"""Suites: a user's own pieces run through them in three lines each, and broken ones fail.

B batch, K classes, N rows.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from dfkd.method.dropping import BaseDropping
from dfkd.method.losses import BaseAnswerLoss, BaseLoss, Loss
from dfkd.method.selection import Budget
from dfkd.method.selection.budget import highest
from dfkd.testing import AnswerLossSuite, DroppingSuite, LossSuite, SamplingSuite, SelectionSuite
from dfkd.testing.outputs import EQUAL, WIDER


@dataclass(frozen=True, kw_only=True)
class Means:
    """Mean features that agree: a loss that inherits nothing."""

    weight: float
    ramp: float = 0.0
    version: ClassVar[int] = 1

    def module(self, sizes):
        return MeansModule()


class MeansModule(nn.Module):
    """The squared difference of two means."""

    def forward(self, student, teacher):
        return (student.features_BD.mean() - teacher.features_BD.mean()) ** 2


@dataclass(frozen=True, kw_only=True)
class LeastConfident(Budget):
    """The rows of which the teacher is least sure."""

    version: ClassVar[int] = 1
    columns: ClassVar[tuple[str, ...]] = ("confidence",)

    def select(self, scores, seed):
        return highest(-scores.confidence_N, self.count(len(scores)))


@dataclass(frozen=True, kw_only=True)
class OnlyAnswer(BaseDropping):
    """All classes are dropped but the answer: hard labels."""

    version: ClassVar[int] = 1
    masks_student: ClassVar[bool] = False

    def canonical(self, classes):
        return self

    def keep(self, logits_BK, generator, temperature=1.0):
        keep_BK = torch.zeros_like(logits_BK, dtype=torch.bool)
        return keep_BK.scatter_(1, logits_BK.argmax(dim=1, keepdim=True), True)


@dataclass(frozen=True, kw_only=True)
class CrossEntropy(BaseAnswerLoss):
    """Cross-entropy with what is left of the teacher's answer."""

    version: ClassVar[int] = 1

    def __call__(self, student_BK, teacher_BK, keep_BK, masks_student):
        if keep_BK is not None:
            teacher_BK = teacher_BK.masked_fill(~keep_BK, -1e9)
            student_BK = student_BK.masked_fill(~keep_BK, -1e9) if masks_student else student_BK
        return nn.functional.cross_entropy(student_BK, teacher_BK.softmax(dim=1))


@dataclass(frozen=True, kw_only=True)
class Backwards:
    """Every row once, the last one first: a sampling that inherits nothing."""

    version: ClassVar[int] = 1

    def epoch(self, label_N, classes, seed):
        return np.arange(len(label_N))[::-1].copy()


class TestOwnLoss(LossSuite):
    pieces = (Means(weight=1.0),)


class TestOwnSelection(SelectionSuite):
    pieces = (LeastConfident(ratio=0.1),)


class TestOwnDropping(DroppingSuite):
    pieces = (OnlyAnswer(),)


class TestOwnSampling(SamplingSuite):
    pieces = (Backwards(),)


class TestOwnAnswerLoss(AnswerLossSuite):
    pieces = (CrossEntropy(),)


# ---- what is broken is found


def loss_of(forward, **members) -> Loss:
    """A loss whose module computes this."""

    class Module(nn.Module):
        pass

    Module.forward = lambda self, student, teacher: forward(student, teacher)
    namespace = {"module": lambda self, sizes: Module(), "__doc__": "Broken.", **members}
    return dataclass(frozen=True, kw_only=True)(type("Broken", (Means, BaseLoss), namespace))(
        weight=1.0
    )


@pytest.mark.parametrize(
    ("forward", "test", "sizes"),
    [
        (lambda s, t: s.features_BD.mean(dim=1), "it_is_one_finite_number", [EQUAL]),
        (lambda s, t: (s.features_BD[:1].mean()) ** 2, "gradients_reach_every_image", [EQUAL]),
        (lambda s, t: s.features_BD.square().sum(1).sqrt().mean(), "no_gradient_becomes_nan", []),
        (lambda s, t: s.maps[0].mean() ** 2, "it_reads_nothing_that_it_does_not_say", [WIDER]),
        (lambda s, t: s.features_BD.cumsum(0).square().mean(), "the_order_of_the_batch", [EQUAL]),
        (lambda s, t: t.features_BD.mean(), "it_changes_what_the_student_learns", []),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_loss_does_not_pass(forward, test, sizes):
    [method] = [name for name in dir(LossSuite) if name.startswith(f"test_{test}")]
    with pytest.raises((AssertionError, IndexError, RuntimeError)):
        getattr(LossSuite(), method)(loss_of(forward), *sizes)


def test_a_loss_that_applies_its_own_weight_does_not_pass():
    class Weighted(MeansModule):
        def __init__(self, weight):
            super().__init__()
            self.weight = weight

        def forward(self, student, teacher):
            return self.weight * super().forward(student, teacher)

    broken = loss_of(None, module=lambda self, sizes: Weighted(self.weight))
    with pytest.raises(AssertionError):
        LossSuite().test_it_does_not_apply_its_own_weight(broken)


@dataclass(frozen=True, kw_only=True)
class Unsorted(LeastConfident):
    """The same rows, the last one first."""

    def select(self, scores, seed):
        return super().select(scores, seed)[::-1].copy()


@dataclass(frozen=True, kw_only=True)
class Greedy(LeastConfident):
    """One row more than the budget says."""

    def select(self, scores, seed):
        return np.arange(min(len(scores), self.count(len(scores)) + 1))


@dataclass(frozen=True, kw_only=True)
class Secretive(LeastConfident):
    """Reads a column that it does not name."""

    def select(self, scores, seed):
        return highest(scores.margin_N, self.count(len(scores)))


@pytest.mark.parametrize(
    ("rule", "test"),
    [
        (Unsorted(ratio=0.1), "rows_are_sorted_distinct"),
        (Greedy(ratio=0.1), "rows_are_sorted_distinct"),
        (Greedy(ratio=0.1), "the_order_of_the_rows"),
        (Secretive(ratio=0.1), "it_reads_no_columns_but"),
    ],
)
def test_a_broken_selection_does_not_pass(rule, test):
    [method] = [name for name in dir(SelectionSuite) if name.startswith(f"test_{test}")]
    with pytest.raises((AssertionError, KeyError)):
        getattr(SelectionSuite(), method)(rule)


@dataclass(frozen=True, kw_only=True)
class NoAnswer(OnlyAnswer):
    """Drops the answer as well."""

    def keep(self, logits_BK, generator, temperature=1.0):
        return torch.zeros_like(logits_BK, dtype=torch.bool)


@dataclass(frozen=True, kw_only=True)
class Moody(OnlyAnswer):
    """Draws from PyTorch's own random state."""

    def keep(self, logits_BK, generator, temperature=1.0):
        return super().keep(logits_BK, generator) | (torch.rand(logits_BK.shape) < 0.5)


@pytest.mark.parametrize(
    ("rule", "test", "arguments"),
    [
        (NoAnswer(), "the_most_likely_class", [10]),
        (Moody(), "masks_are_the_same", []),
        (Moody(), "a_resumed_run", []),
    ],
)
def test_a_broken_dropping_does_not_pass(rule, test, arguments):
    [method] = [name for name in dir(DroppingSuite) if name.startswith(f"test_{test}")]
    with pytest.raises(AssertionError):
        getattr(DroppingSuite(), method)(rule, *arguments)
