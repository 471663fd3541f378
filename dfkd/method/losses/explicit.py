"""Explicit losses: the student's features are to be the teacher's.

B batch, D feature width of the teacher, E of the student.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from dfkd.method.losses.loss import Outputs, Sizes, check_weight, projector


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
        self.projector = projector(sizes.student_width, sizes.teacher_width)

    def forward(self, student: Outputs, teacher: Outputs) -> Tensor:
        projected_BD = F.normalize(self.projector(student.features_BD), dim=1)
        return (projected_BD - F.normalize(teacher.features_BD, dim=1)).square().sum(dim=1).mean()
