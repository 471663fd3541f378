"""Losses on the teacher's answer itself: its logits, from which dropped classes are taken out.

B batch, K classes. The first part of every experiment: `Experiment.kd`. Its weight is 1, all others
are relative to it.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from dfkd.identity import Piece
from dfkd.method.losses.loss import check_temperature

DROPPED = -1e9  # a logit: a finite floor keeps gradients finite; exp(-1e9) is 0 in every float type
SMALLEST = 1e-12  # added to a variance, so that equal logits have a gradient


class AnswerLoss(Protocol):
    """How far the student's answer is from the teacher's.

    `temperature`, `reads_labels` and `capturable` have defaults in `BaseAnswerLoss`.
    """

    version: ClassVar[int]

    @property
    def temperature(self) -> float:
        """The temperature at which the teacher's logits are read, above 0."""

    @property
    def reads_labels(self) -> bool:
        """Say whether one-hot original labels stand in the place of the teacher's logits."""

    @property
    def capturable(self) -> bool:
        """As of a `Loss`."""

    def __call__(
        self, student_BK: Tensor, teacher_BK: Tensor, keep_BK: Tensor | None, masks_student: bool
    ) -> Tensor:
        """Return the loss of logits [B, K], the mean over the batch.

        keep_BK: the classes that stay in the teacher's softmax, and in the student's where
        `masks_student`; None for all.
        """

    @classmethod
    def example(cls) -> Self:
        """Return an instance with likely values, for tables and tests."""


class BaseAnswerLoss(Piece):
    """What a loss on the answer need not declare: it reads logits at temperature 1, no labels."""

    temperature: float = 1.0
    reads_labels: ClassVar[bool] = False
    capturable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_temperature("kd.temperature", self.temperature)


@dataclass(frozen=True, kw_only=True)
class KD(BaseAnswerLoss):
    """Compares the softened answers of teacher and student by their KL divergence.

    Formula: T^2 * KL(softmax(t / T) || softmax(s / T)), summed over classes, mean over the batch.
    Source: published, Hinton et al. (2015).
    Range: temperature T above 0; 4 is the value of DFND and of most published comparisons.
    Interplay: class dropping takes classes out of the teacher's softmax.
    """

    temperature: float = 4.0
    version: ClassVar[int] = 1
    capturable: ClassVar[bool] = True

    def __call__(
        self, student_BK: Tensor, teacher_BK: Tensor, keep_BK: Tensor | None, masks_student: bool
    ) -> Tensor:
        log_student_BK = _log_softmax(
            student_BK / self.temperature, keep_BK if masks_student else None
        )
        log_teacher_BK = _log_softmax(teacher_BK / self.temperature, keep_BK)
        terms_BK = log_teacher_BK.exp() * (log_teacher_BK - log_student_BK)
        if keep_BK is not None:  # 0 * (-inf - x) is NaN; its limit is 0
            terms_BK = terms_BK.masked_fill(~keep_BK, 0.0)
        return terms_BK.sum(dim=1).mean() * self.temperature**2


@dataclass(frozen=True, kw_only=True)
class DKD(BaseAnswerLoss):
    """Compares "target class or not" apart from the other classes among each other.

    Formula: T^2 * (alpha * KL on "target class or not" + beta * KL among the other classes), mean
    over the batch. Plain KD is alpha = 1 and beta = 1 - p(target), which is what silences confident
    samples.
    Source: published, Zhao et al. (CVPR 2022), code of mdistiller; there with labels, cross-entropy
    and a warm-up over 20 of 240 epochs. Ours: the target class is the teacher's own argmax, and
    there is neither of the other two.
    Range: temperature T above 0; alpha and beta 0 or more, not both 0.
    Interplay: class dropping acts on both terms; a sample of which only the target class is left
    has no second term.
    """

    temperature: float = 4.0
    alpha: float = 1.0
    beta: float = 8.0
    version: ClassVar[int] = 1
    capturable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if (
            not (0 <= self.alpha < math.inf and 0 <= self.beta < math.inf)
            or self.alpha == self.beta == 0
        ):
            raise ValueError(
                "kd.alpha and kd.beta must be 0 or more, not both 0, but got "
                f"alpha={self.alpha}, beta={self.beta}"
            )

    def __call__(
        self, student_BK: Tensor, teacher_BK: Tensor, keep_BK: Tensor | None, masks_student: bool
    ) -> Tensor:
        target_B1 = teacher_BK.argmax(dim=1, keepdim=True)
        other_BK = F.one_hot(target_B1[:, 0], teacher_BK.shape[1]) == 0
        student_BK = _log_softmax(student_BK / self.temperature, keep_BK if masks_student else None)
        teacher_BK = _log_softmax(teacher_BK / self.temperature, keep_BK)
        log_p_B2, log_q_B2 = (
            _target_or_not(log_BK, target_B1, other_BK) for log_BK in (teacher_BK, student_BK)
        )
        is_target = (log_p_B2.exp() * (log_p_B2 - log_q_B2)).sum(dim=1).mean()
        log_p_BK, log_q_BK = _log_softmax(teacher_BK, other_BK), _log_softmax(student_BK, other_BK)
        terms_BK = log_p_BK.exp() * (log_p_BK - log_q_BK)
        among_others = (
            terms_BK.masked_fill(~other_BK if keep_BK is None else ~(other_BK & keep_BK), 0.0)
            .sum(1)
            .mean()
        )
        return (self.alpha * is_target + self.beta * among_others) * self.temperature**2


@dataclass(frozen=True, kw_only=True)
class StandardisedKD(BaseAnswerLoss):
    """Compares softened answers of which each logit vector has mean 0 and deviation 1 beforehand.

    Formula: T^2 * KL(softmax(z(t) / T) || softmax(z(s) / T)), z(x) = (x - mean x) / sd x over the
    classes, mean over the batch. The student need not reach the teacher's range of logits, only its
    relations, and each sample has a temperature of its own.
    Source: published, Sun et al. (CVPR 2024), there with weight 9 beside cross-entropy of weight
    0.1. Ours: no labels, weight 1, sd over K classes where their code divides by K - 1.
    Range: temperature T above 0; 2 is theirs, the plain softmax of z is 1.
    Interplay: class dropping comes first: mean and deviation are those of the classes that stay.
    `Nucleus` reads the raw logits at T. At K classes the likeliest has a probability of
    1 / (1 + (K - 1) exp(-K / (T sqrt(K - 1)))) at most, 0.76 for 10 classes at T = 1, 0.37 at 2.
    """

    temperature: float = 2.0
    version: ClassVar[int] = 1
    capturable: ClassVar[bool] = True

    def __call__(
        self, student_BK: Tensor, teacher_BK: Tensor, keep_BK: Tensor | None, masks_student: bool
    ) -> Tensor:
        student_BK = _standardised(student_BK, keep_BK if masks_student else None)
        teacher_BK = _standardised(teacher_BK, keep_BK)
        return KD(temperature=self.temperature)(student_BK, teacher_BK, keep_BK, masks_student)


def _standardised(logits_BK: Tensor, keep_BK: Tensor | None) -> Tensor:
    """Return the logits with mean 0 and deviation 1 over the kept classes; others become 0."""
    if keep_BK is None:
        keep_BK = torch.ones_like(logits_BK, dtype=torch.bool)
    kept_B1 = keep_BK.sum(dim=1, keepdim=True)
    mean_B1 = logits_BK.masked_fill(~keep_BK, 0.0).sum(dim=1, keepdim=True) / kept_B1
    centred_BK = (logits_BK - mean_B1).masked_fill(~keep_BK, 0.0)
    variance_B1 = centred_BK.square().sum(dim=1, keepdim=True) / kept_B1
    return centred_BK / (variance_B1 + SMALLEST).sqrt()  # of one class, or of equal logits, 0


def _target_or_not(log_BK: Tensor, target_B1: Tensor, other_BK: Tensor) -> Tensor:
    """Return the log-probabilities [B, 2] of "the target class" and of "any other"."""
    other_B1 = log_BK.masked_fill(~other_BK, DROPPED).logsumexp(dim=1, keepdim=True)
    return torch.cat([log_BK.gather(1, target_B1), other_B1], dim=1)


def _log_softmax(logits_BK: Tensor, keep_BK: Tensor | None) -> Tensor:
    if keep_BK is None:
        return F.log_softmax(logits_BK, dim=1)
    return F.log_softmax(logits_BK.masked_fill(~keep_BK, DROPPED), dim=1)
