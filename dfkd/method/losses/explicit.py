"""Explicit losses: the student's features are to be the teacher's.

B batch, D feature width of the teacher, E of the student; C, H, W channels, height and width of a
map. Where the two networks have not equally many stages, the last ones are paired; in the published
pairs they have.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self, TypeVar

import torch.nn.functional as F
from torch import Tensor, nn

from dfkd.method.losses.loss import BaseLoss, Outputs, Sizes, check_weight, projector
from dfkd.method.losses.maps import averaged

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class PooledFeatures(BaseLoss):
    """Brings the directions of the student's pooled features to the teacher's. The default.

    Formula: squared distance of the l2-normalised features, summed over D, mean over the batch; a
    Linear + BatchNorm projector where the widths differ, none where they agree.
    Source: our reading of the abstract's "explicit" knowledge.
    Range: the weight only; the loss lies in 0..4.
    """

    weight: float
    ramp: float = 0.0
    version: ClassVar[int] = 1
    capturable: ClassVar[bool] = True

    @classmethod
    def example(cls) -> Self:
        return cls(weight=3.0, ramp=0.0)

    def module(self, sizes: Sizes) -> nn.Module:
        return _PooledFeatures(sizes)


class _PooledFeatures(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.projector = projector(sizes.student_width, sizes.teacher_width)

    def forward(self, student: Outputs, teacher: Outputs) -> Tensor:
        projected_BD = F.normalize(self.projector(student.features_BD), dim=1)
        return (projected_BD - F.normalize(teacher.features_BD, dim=1)).square().sum(dim=1).mean()


@dataclass(frozen=True, kw_only=True)
class FitNet(BaseLoss):
    """Regresses one stage's map of the student to the teacher's.

    Formula: mean (r(F_S) - F_T)^2, r a convolution to the teacher's channels and size, BatchNorm
    and ReLU.
    Source: published, Romero et al. (ICLR 2015), with RepDistiller's regressor and weight; there a
    warm-up by itself, here beside KD, as in its later use.
    Range: stage 1 is the first; 2 is RepDistiller's.
    Interplay: in MosaicKD's table the family that helps most on shifted pools. The teacher is asked
    in every step, on the view that the student sees.
    """

    weight: float = 100.0
    stage: int = 2
    ramp: float = 0.0
    version: ClassVar[int] = 1
    capturable: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"maps"})

    def __post_init__(self) -> None:
        check_weight(self.weight, self.ramp)
        if self.stage < 1:
            raise ValueError(f"stage of FitNet must be 1 or more, but got stage={self.stage!r}")

    def module(self, sizes: Sizes) -> nn.Module:
        stages = min(len(sizes.student_maps), len(sizes.teacher_maps))
        if self.stage > stages:
            raise ValueError(
                f"stage of FitNet must be one of the networks' {stages} stages, but got "
                f"stage={self.stage!r}"
            )
        return _FitNet(self.stage - 1 - stages, sizes)


class _FitNet(nn.Module):
    def __init__(self, place: int, sizes: Sizes) -> None:
        super().__init__()
        self.place = place  # from the last: -1
        channels, *student = sizes.student_maps[place]
        channels_teacher, *teacher = sizes.teacher_maps[place]
        self.regressor = nn.Sequential(
            _resizing(channels, channels_teacher, student, teacher),
            nn.BatchNorm2d(channels_teacher),
            nn.ReLU(),
        )

    def forward(self, student: Outputs, teacher: Outputs) -> Tensor:
        return F.mse_loss(self.regressor(student.maps[self.place]), teacher.maps[self.place])


def _resizing(channels: int, wanted: int, size: list[int], wanted_size: list[int]) -> nn.Module:
    """Return RepDistiller's convolution from one size of map to another.

    ValueError where it has none.
    """
    if size == [2 * side for side in wanted_size]:
        return nn.Conv2d(channels, wanted, 3, 2, 1)
    if wanted_size == [2 * side for side in size]:
        return nn.ConvTranspose2d(channels, wanted, 4, 2, 1)
    kernel = [1 + side - other for side, other in zip(size, wanted_size, strict=True)]
    if min(kernel) < 1:
        raise ValueError(
            f"FitNet cannot regress a map of {size} to one of {wanted_size}: choose another stage"
        )
    return nn.Conv2d(channels, wanted, (kernel[0], kernel[1]))


@dataclass(frozen=True, kw_only=True)
class AttentionTransfer(BaseLoss):
    """Brings the student's attention, where in the image it is active, to the teacher's.

    Formula: sum over stages of mean (A(F_S) - A(F_T))^2, A the l2-normalised map of mean squares
    over channels. The larger of two maps is averaged to the smaller; channels may differ, nothing
    is trained.
    Source: published, Zagoruyko and Komodakis (ICLR 2017); weight as in RepDistiller.
    Range: the weight only.
    Interplay: the teacher is asked in every step, on the view that the student sees.
    """

    weight: float = 1000.0
    ramp: float = 0.0
    version: ClassVar[int] = 1
    capturable: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"maps"})

    def module(self, sizes: Sizes) -> nn.Module:
        return _AttentionTransfer()


class _AttentionTransfer(nn.Module):
    def forward(self, student: Outputs, teacher: Outputs) -> Tensor:
        total = student.features_BD.new_zeros(())
        for student_BCHW, teacher_BCHW in pairs_of(student.maps, teacher.maps):
            size = [
                min(sides)
                for sides in zip(student_BCHW.shape[2:], teacher_BCHW.shape[2:], strict=True)
            ]
            student_BHW, teacher_BHW = (
                _attention(student_BCHW, size),
                _attention(teacher_BCHW, size),
            )
            total = total + (student_BHW - teacher_BHW).square().mean()
        return total


def _attention(map_BCHW: Tensor, size: list[int]) -> Tensor:
    if list(map_BCHW.shape[2:]) != size:
        map_BCHW = averaged(map_BCHW, *size)
    return F.normalize(map_BCHW.square().mean(dim=1).flatten(1), dim=1)


def pairs_of(student: Sequence[T], teacher: Sequence[T]) -> list[tuple[T, T]]:
    """Return stages of the one with stages of the other, the last with the last."""
    count = min(len(student), len(teacher))
    return list(zip(student[-count:], teacher[-count:], strict=True))
