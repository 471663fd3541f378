"""Review: late stages of the student help to imitate early stages of the teacher.

B batch, C channels, H height, W width, M channels in the middle.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfkd.method.losses.explicit import pairs_of
from dfkd.method.losses.loss import BaseLoss, Outputs, Sizes
from dfkd.method.losses.maps import averaged, repeated

# places in a row to which maps are averaged, each at half the weight of the one before
LEVELS = (4, 2, 1)
WIDEST = 512  # channels in the middle


@dataclass(frozen=True, kw_only=True)
class ReviewKD(BaseLoss):
    """Fuses the student's maps from the last stage to the first, each to be the teacher's.

    Formula: each stage of the student is mixed with what came from the later stages by a learned
    attention (ABF) and compared with the teacher's by mean squared differences of the map itself
    and of its averages over 4x4, 2x2 and 1 places, weights 1, 1/2, 1/4, 1/8 divided by their sum
    (HCL); summed over stages and the pooled features.
    Source: published, Chen et al. (CVPR 2021), code of ReviewKD; its weight is 0.6 to 8 by pair, 5
    for WRN-40-2 -> WRN-16-2, rising over 20 of 240 epochs (`ramp`). Ours: maps as the stages give
    them out, there before their last activation.
    Range: the weight only.
    Cost: the fusing convolutions can be as large as the student. The teacher is asked in every
    step, on the view that the student sees.
    """

    weight: float = 5.0
    ramp: float = 20 / 240
    version: ClassVar[int] = 1
    capturable: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"maps"})

    @classmethod
    def example(cls) -> Self:
        return cls(weight=5.0, ramp=0.125)

    def module(self, sizes: Sizes) -> nn.Module:
        return _ReviewKD(sizes)


class _ReviewKD(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        student = (*sizes.student_maps, (sizes.student_width, 1, 1))
        teacher = (*sizes.teacher_maps, (sizes.teacher_width, 1, 1))
        middle = min(WIDEST, sizes.student_width)
        pairs = pairs_of(student, teacher)
        self.fusions = nn.ModuleList(
            _Fusion(mine[0], middle, theirs, fuses=index > 0)
            for index, (mine, theirs) in enumerate(reversed(pairs))
        )

    def forward(self, student: Outputs, teacher: Outputs) -> Tensor:
        total, later_BMHW = student.features_BD.new_zeros(()), None
        pairs = pairs_of((*student.maps, _as_map(student)), (*teacher.maps, _as_map(teacher)))
        for fusion, (student_BCHW, teacher_BCHW) in zip(self.fusions, reversed(pairs), strict=True):
            said_BCHW, later_BMHW = fusion(student_BCHW, later_BMHW)
            total = total + _distance(said_BCHW, teacher_BCHW)
        return total


def _as_map(outputs: Outputs) -> Tensor:
    return outputs.features_BD[:, :, None, None]


class _Fusion(nn.Module):
    """Attention-based fusion of a stage with what comes from later ones; none in the last stage."""

    def __init__(
        self, channels: int, middle: int, wanted: tuple[int, int, int], fuses: bool
    ) -> None:
        super().__init__()
        self.wanted_size = wanted[1:]
        self.narrow = _convolution(channels, middle, 1)
        self.widen = _convolution(middle, wanted[0], 3)
        # the source's 1x1 convolution; PyTorch's CPU convolutions are not to be trusted with two
        # channels (SmallResNet)
        self.attention = nn.Linear(2 * middle, 2) if fuses else None

    def forward(self, map_BCHW: Tensor, later_BMHW: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return what is compared with the teacher's map, and what goes on to the stage before."""
        mixed_BMHW = self.narrow(map_BCHW)
        if self.attention is not None:
            assert later_BMHW is not None
            later_BMHW = repeated(later_BMHW, *map_BCHW.shape[2:])
            both = torch.cat([mixed_BMHW, later_BMHW], dim=1)
            share_B2HW = self.attention(both.movedim(1, 3)).sigmoid().movedim(3, 1)
            mixed_BMHW = mixed_BMHW * share_B2HW[:, :1] + later_BMHW * share_B2HW[:, 1:]
        if mixed_BMHW.shape[2:] != self.wanted_size:
            mixed_BMHW = repeated(mixed_BMHW, *self.wanted_size)
        return self.widen(mixed_BMHW), mixed_BMHW


def _convolution(channels: int, wanted: int, kernel: int) -> nn.Module:
    convolution = nn.Conv2d(channels, wanted, kernel, 1, kernel // 2, bias=False)
    nn.init.kaiming_uniform_(convolution.weight, a=1)
    return nn.Sequential(convolution, nn.BatchNorm2d(wanted))


def _distance(student_BCHW: Tensor, teacher_BCHW: Tensor) -> Tensor:
    """Return the hierarchical context loss of one stage."""
    total, weight, weights = F.mse_loss(student_BCHW, teacher_BCHW), 1.0, 1.0
    for places in LEVELS:
        if places < student_BCHW.shape[2]:
            weight /= 2
            weights += weight
            mine, theirs = (
                averaged(map_BCHW, places, places) for map_BCHW in (student_BCHW, teacher_BCHW)
            )
            total = total + weight * F.mse_loss(mine, theirs)
    return total / weights
