"""Implicit losses on relations within a batch: which images are how near to which others.

B batch, D feature width of the teacher or the student. There is no projector, whatever the widths.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfkd.method.losses.loss import BaseLoss, Outputs, Sizes, check_temperature, check_weight

REFERENCE_BATCH = 64  # at which RepDistiller's weights of SP and PKT were found
MOST_ANGLES = 128  # images whose angles are taken: B^3 numbers, 8 MB at 128


@dataclass(frozen=True, kw_only=True)
class Similarity(BaseLoss):
    """Brings the student's similarities of images within a batch to the teacher's. The default.

    Formula: mean_i KL(R_T,i || R_S,i), R_i the softmax over j != i of cos(f_i, f_j) / tau.
    Source: our reading of the abstract's "implicit" relations.
    Range: tau above 0; smaller looks at nearer neighbours.
    Interplay: it hardly depends on the batch size (independent random features: 4.8 at 64 rows, 5.2
    at 512) and needs no equal widths.
    """

    weight: float
    tau: float = 0.1
    ramp: float = 0.1
    version: ClassVar[int] = 1
    capturable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_weight(self.weight, self.ramp)
        check_temperature("implicit.tau", self.tau)

    @classmethod
    def example(cls) -> Self:
        return cls(weight=1.0, tau=0.1, ramp=0.1)

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
        return F.log_softmax(
            (unit_BD @ unit_BD.T / self.tau).masked_fill(_itself(unit_BD), -1e9), dim=1
        )


@dataclass(frozen=True, kw_only=True)
class RKD(BaseLoss):
    """Brings distances and angles of images within a batch to the teacher's.

    Formula: distance * smooth_l1(d_S / mean d_S, d_T / mean d_T) + angle * smooth_l1(cos_S, cos_T),
    means over all pairs and all triples, cos of the angle at one image between two others.
    Source: published, Park et al. (CVPR 2019), with RepDistiller's factors.
    Range: distance and angle 0 or more, not both 0.
    Cost: angles need B^3 numbers: they are those of the first 128 images of a batch, which is a
    random part, as batches are. Never in half precision: distances are roots of differences of
    squares.
    Interplay: on shifted pools it did harm in MosaicKD's table: start with a small weight beside KD
    and an explicit loss. It hardly depends on the batch size.
    """

    weight: float = 1.0
    distance: float = 25.0
    angle: float = 50.0
    ramp: float = 0.1
    version: ClassVar[int] = 1
    capturable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_weight(self.weight, self.ramp)
        if (
            not (0 <= self.distance < math.inf and 0 <= self.angle < math.inf)
            or self.distance == self.angle == 0
        ):
            raise ValueError(
                f"distance and angle of RKD must be 0 or more, not both 0, but got "
                f"distance={self.distance!r}, angle={self.angle!r}"
            )

    def module(self, sizes: Sizes) -> nn.Module:
        return _RKD(self.distance, self.angle)


class _RKD(nn.Module):
    def __init__(self, distance: float, angle: float) -> None:
        super().__init__()
        self.distance, self.angle = distance, angle

    def forward(self, student: Outputs, teacher: Outputs) -> Tensor:
        student_BE, teacher_BD = _not_half(student.features_BD), _not_half(teacher.features_BD)
        total = student_BE.new_zeros(())
        with torch.autocast(student_BE.device.type, enabled=False):
            if self.distance:
                total = total + self.distance * F.smooth_l1_loss(
                    _distances(student_BE), _distances(teacher_BD)
                )
            if self.angle:
                student_BE, teacher_BD = student_BE[:MOST_ANGLES], teacher_BD[:MOST_ANGLES]
                total = total + self.angle * F.smooth_l1_loss(
                    _angles(student_BE), _angles(teacher_BD)
                )
        return total


def _not_half(features_BD: Tensor) -> Tensor:
    return features_BD.to(torch.promote_types(features_BD.dtype, torch.float32))


def _distances(features_BD: Tensor) -> Tensor:
    """Return distances [B, B] divided by the mean over all pairs of two different images."""
    square_B = features_BD.square().sum(dim=1)
    square_BB = square_B[:, None] + square_B[None, :] - 2 * features_BD @ features_BD.T
    # sqrt has no gradient at 0, where two images have the same features
    distance_BB = square_BB.clamp(min=1e-12).sqrt().masked_fill(_itself(features_BD), 0.0)
    batch = len(features_BD)
    return distance_BB / (distance_BB.sum() / (batch * (batch - 1)))


def _angles(features_BD: Tensor) -> Tensor:
    """Return the cosine of the angle at image i between the directions to j and to k, [B, B, B]."""
    unit_BBD = F.normalize(features_BD[None, :, :] - features_BD[:, None, :], dim=2)
    return unit_BBD @ unit_BBD.transpose(1, 2)


@dataclass(frozen=True, kw_only=True)
class SP(BaseLoss):
    """Keeps which images of a batch are similar: the matrix of products of their features.

    Formula: ||rownorm(F_S F_S^T) - rownorm(F_T F_T^T)||_F^2 / B^2 * B / 64.
    Source: published, Tung and Mori (ICCV 2019); there and in RepDistiller on the flattened last
    map, without the factor B / 64. Ours: on pooled features, so that the cached answer of the
    teacher is enough; and the factor, because the published value shrinks as 1 / B and its weight,
    3000, was found at batch 64.
    Range: the weight only.
    """

    weight: float = 3000.0
    ramp: float = 0.1
    version: ClassVar[int] = 1
    capturable: ClassVar[bool] = True

    def module(self, sizes: Sizes) -> nn.Module:
        return _SP()


class _SP(nn.Module):
    def forward(self, student: Outputs, teacher: Outputs) -> Tensor:
        student_BB, teacher_BB = (
            F.normalize(f @ f.T, dim=1) for f in (student.features_BD, teacher.features_BD)
        )
        return (student_BB - teacher_BB).square().mean() * (len(student_BB) / REFERENCE_BATCH)


@dataclass(frozen=True, kw_only=True)
class PKT(BaseLoss):
    """Keeps the share of each image in the similarity to another, as a distribution.

    Formula: mean over pairs of P_T log(P_T / P_S) * B / 64, P the rows of (cos + 1) / 2 divided by
    their sums.
    Source: published, Passalis and Tefas (ECCV 2018), as in RepDistiller; there without the factor
    B / 64, which is ours because the published value shrinks as 1 / B and its weight, 30000, was
    found at batch 64.
    Range: the weight only.
    """

    weight: float = 30000.0
    ramp: float = 0.1
    version: ClassVar[int] = 1
    capturable: ClassVar[bool] = True

    def module(self, sizes: Sizes) -> nn.Module:
        return _PKT()


class _PKT(nn.Module):
    EPSILON = 1e-7  # the source's

    def forward(self, student: Outputs, teacher: Outputs) -> Tensor:
        student_BB, teacher_BB = (
            self._shares(student.features_BD),
            self._shares(teacher.features_BD),
        )
        ratio_BB = (teacher_BB + self.EPSILON) / (student_BB + self.EPSILON)
        return (teacher_BB * ratio_BB.log()).mean() * (len(student_BB) / REFERENCE_BATCH)

    def _shares(self, features_BD: Tensor) -> Tensor:
        length_B1: Tensor = torch.linalg.vector_norm(features_BD, dim=1, keepdim=True)
        unit_BD = features_BD / (length_B1 + self.EPSILON)
        similarity_BB = (unit_BD @ unit_BD.T + 1) / 2
        return similarity_BB / similarity_BB.sum(dim=1, keepdim=True)


def _itself(features_BD: Tensor) -> Tensor:
    """Return True on the diagonal [B, B]."""
    return torch.eye(len(features_BD), dtype=torch.bool, device=features_BD.device)
