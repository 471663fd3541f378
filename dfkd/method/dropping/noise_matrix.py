"""DFND's noise matrix: the student's answer is made noisy instead of following a noisy teacher.

B batch, K classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfkd.method.dropping.rule import BaseDropping, keep_all
from dfkd.method.losses import BaseLoss, Loss, Outputs, Sizes, check_weight

LEARNING_RATE = 1e-3  # of its own Adam, whatever the student's optimizer
MOST_ACCURATE = 0.999  # a diagonal of 1 would leave nothing to adapt, and logarithms of 0


@dataclass(frozen=True, kw_only=True)
class NoiseMatrix(BaseDropping):
    """Drops nothing, but makes the student's answer noisy by a trained matrix M in a second term.

    Formula: weight * NLL(log(softmax(s) @ M), argmax t) is added to plain KD on the clean answer;
    M[i, i] = a, the teacher's accuracy, fixed; M[i, j] = (1 - a) * softmax(W[i])_j for j != i, W of
    K x (K - 1) from 0, trained by an Adam of its own, learning rate 1e-3.
    Source: published, DFND (Chen et al., CVPR 2021); DFND-train.py has weight 1, and the accuracy
    on the TEST set as a.
    Range: weight 0 or more, 0 is plain KD. accuracy: a in (0, 1]; None measures it on the task's
    VALIDATION LABELS, the one place where a method reads labels: give a number where that is not
    allowed, or where there are none. At most 0.999 is used.
    """

    weight: float = 1.0
    accuracy: float | None = None
    version: ClassVar[int] = 1
    masks_student: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_weight(self.weight, ramp=0.0)
        if self.accuracy is not None and not 0 < self.accuracy <= 1:
            raise ValueError(
                f"dropping.accuracy must lie in (0, 1], but got accuracy={self.accuracy!r}"
            )

    def canonical(self, classes: int) -> NoiseMatrix | None:
        return self if self.weight > 0 else None

    def keep(
        self, logits_BK: Tensor, generator: torch.Generator, temperature: float = 1.0
    ) -> Tensor:
        return keep_all(logits_BK)

    def term(self) -> Loss:
        return NoiseTerm(weight=self.weight, accuracy=self.accuracy)


@dataclass(frozen=True, kw_only=True)
class NoiseTerm(BaseLoss):
    """The loss term of a noise matrix: it trains the matrix by an Adam of its own."""

    weight: float
    accuracy: float | None
    version: ClassVar[int] = 1
    ramp: ClassVar[float] = 0.0
    own_learning_rate: ClassVar[float | None] = LEARNING_RATE

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"teacher_accuracy"} if self.accuracy is None else ())

    def module(self, sizes: Sizes) -> nn.Module:
        accuracy = self.accuracy if self.accuracy is not None else sizes.teacher_accuracy
        if accuracy is None or not math.isfinite(accuracy):
            raise ValueError(
                "a noise matrix needs the teacher's accuracy, but the task has no validation "
                "labels: "
                f"give dropping.accuracy, but got accuracy={self.accuracy!r}"
            )
        return NoiseAdaptation(sizes.classes, min(accuracy, MOST_ACCURATE))


class NoiseAdaptation(nn.Module):
    """Computes NLL(log(softmax(s) @ M), argmax t), and holds W, from which M is made."""

    def __init__(self, classes: int, accuracy: float) -> None:
        super().__init__()
        self.accuracy = accuracy
        self.weight = nn.Parameter(torch.zeros(classes, classes - 1))

    def matrix(self) -> Tensor:
        """Return M [K, K]; rows sum to 1."""
        classes = len(self.weight)
        others = (1 - self.accuracy) * F.softmax(self.weight, dim=1)
        diagonal = others.new_full((classes, 1), self.accuracy)
        # row by row, a matrix is its first diagonal entry, then K others and the next diagonal
        # entry, K - 1 times
        rest = torch.cat([others.reshape(classes - 1, classes), diagonal[1:]], dim=1)
        return torch.cat([diagonal[0], rest.flatten()]).reshape(classes, classes)

    def forward(self, student: Outputs, teacher: Outputs) -> Tensor:
        noisy_BK = F.softmax(student.logits_BK, dim=1) @ self.matrix()
        return F.nll_loss(noisy_BK.log(), teacher.logits_BK.argmax(dim=1))
