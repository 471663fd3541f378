"""Losses: how far the student is from the teacher's answer, its features and its relations.

B batch, K classes, D feature width of the teacher, E of the student. A loss is a frozen dataclass; `module` builds the
`nn.Module` that computes it and holds what it trains (a projector, say). No loss applies its own weight, blends another
loss or reads a label: `Objective` in distill.py adds them up in one line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Outputs:
    """What a network says of a batch: logits [B, K] and pooled features [B, D]."""

    logits_BK: Tensor
    features_BD: Tensor


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What a loss must know of the two networks to build its trainable parts."""

    classes: int
    student_width: int
    teacher_width: int


class Loss(Protocol):
    """An explicit or implicit loss. `weight` >= 0; weight 0 is the same experiment as no such loss.

    ramp: share of the steps over which the weight rises linearly from 0, in [0, 1].
    """

    version: ClassVar[int]

    @property
    def weight(self) -> float: ...

    @property
    def ramp(self) -> float: ...

    def module(self, sizes: Sizes) -> nn.Module:
        """A module `(student: Outputs, teacher: Outputs) -> scalar`; its parameters are trained with the student."""
        ...


def check_weight(weight: float, ramp: float) -> None:
    if not 0 <= weight < math.inf:
        raise ValueError(f"a loss weight must be 0 or more, but got {weight=}")
    if not 0 <= ramp <= 1:
        raise ValueError(f"ramp must lie in [0, 1], the share of the steps with a rising weight, but got {ramp=}")


@dataclass(frozen=True, kw_only=True)
class KD:
    """T^2 * KL(softmax(t / T) || softmax(s / T)), summed over classes, mean over the batch (Hinton et al., 2015).

    temperature: > 0; 4 is the value of DFND and of most published comparisons.
    """

    temperature: float = 4.0
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"kd.temperature must be above 0, but got {self.temperature=}")

    def __call__(self, student_BK: Tensor, teacher_BK: Tensor, keep_BK: Tensor | None, masks_student: bool) -> Tensor:
        """`keep_BK` takes classes out of the teacher's softmax, and out of the student's where `masks_student`."""
        log_student_BK = _log_softmax(student_BK / self.temperature, keep_BK if masks_student else None)
        log_teacher_BK = _log_softmax(teacher_BK / self.temperature, keep_BK)
        terms_BK = log_teacher_BK.exp() * (log_teacher_BK - log_student_BK)
        if keep_BK is not None:  # 0 * (-inf - x) is NaN; its limit is 0
            terms_BK = terms_BK.masked_fill(~keep_BK, 0.0)
        return terms_BK.sum(dim=1).mean() * self.temperature**2


def _log_softmax(logits_BK: Tensor, keep_BK: Tensor | None) -> Tensor:
    if keep_BK is None:
        return F.log_softmax(logits_BK, dim=1)
    # a finite floor keeps gradients finite; exp(-1e9) is 0 in every float type
    return F.log_softmax(logits_BK.masked_fill(~keep_BK, -1e9), dim=1)


@dataclass(frozen=True, kw_only=True)
class PooledFeatures:
    """Explicit: squared distance of l2-normalised pooled features, summed over D, mean over the batch; range 0..4.

    A Linear + BatchNorm projector where the widths differ, none where they agree. Our reading of the abstract's
    "explicit" knowledge.
    """

    weight: float
    ramp: float = 0.0
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_weight(self.weight, self.ramp)

    def module(self, sizes: Sizes) -> nn.Module:
        return _PooledFeatures(sizes)


class _PooledFeatures(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.projector: nn.Module = nn.Identity()
        if sizes.student_width != sizes.teacher_width:
            self.projector = nn.Sequential(
                nn.Linear(sizes.student_width, sizes.teacher_width, bias=False),
                nn.BatchNorm1d(sizes.teacher_width),
            )

    def forward(self, student: Outputs, teacher: Outputs) -> Tensor:
        projected_BD = F.normalize(self.projector(student.features_BD), dim=1)
        return (projected_BD - F.normalize(teacher.features_BD, dim=1)).square().sum(dim=1).mean()


@dataclass(frozen=True, kw_only=True)
class Similarity:
    """Implicit: mean_i KL(R_T,i || R_S,i), R_i the softmax over j != i of cos(f_i, f_j) / tau within the batch.

    Hardly depends on the batch size (independent random features: 4.8 at 64 rows, 5.2 at 512), needs no equal widths.
    Our reading of the abstract's "implicit" relations.

    tau: > 0; smaller looks at nearer neighbours.
    """

    weight: float
    tau: float = 0.1
    ramp: float = 0.1
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_weight(self.weight, self.ramp)
        if not 0 < self.tau < math.inf:
            raise ValueError(f"implicit.tau must be above 0, but got {self.tau=}")

    def module(self, sizes: Sizes) -> nn.Module:
        return _Similarity(self.tau)


class _Similarity(nn.Module):
    def __init__(self, tau: float) -> None:
        super().__init__()
        self.tau = tau

    def forward(self, student: Outputs, teacher: Outputs) -> Tensor:
        log_student_BB = self._log_relations(student.features_BD)
        log_teacher_BB = self._log_relations(teacher.features_BD)
        return (log_teacher_BB.exp() * (log_teacher_BB - log_student_BB)).sum(dim=1).mean()

    def _log_relations(self, features_BD: Tensor) -> Tensor:
        unit_BD = F.normalize(features_BD, dim=1)
        itself_BB = torch.eye(len(unit_BD), dtype=torch.bool, device=unit_BD.device)
        return F.log_softmax((unit_BD @ unit_BD.T / self.tau).masked_fill(itself_BB, -1e9), dim=1)


LOSSES: tuple[type[Loss], ...] = (PooledFeatures, Similarity)
