"""The small residual network of the embedded task.

B batch, C channels, H height, W width.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import torch.nn.functional as F
from torch import Tensor, nn

from dfkd.models.networks.network import BaseNetwork


@dataclass(frozen=True, kw_only=True)
class SmallResNet(BaseNetwork):
    """Builds three stages of one basic block each, for images of about 16x16.

    Widths are w, 2w, 4w and strides 1, 2, 2.
    width: a multiple of 8. Narrower layers are no faster, and PyTorch 2.14.1's CPU convolutions
    were seen to write past their buffers in the backward pass at widths 4 and 6 (AMD EPYC, AVX2):
    the process dies.
    stem_stride: 1 or 2; 2 halves the resolution at once, a quarter of the cost.
    norm: "batch", or "group" (two groups; a network without batch statistics, equal on any number
    of workers).
    """

    width: int
    stem_stride: int = 1
    norm: str = "batch"
    version: ClassVar[int] = 1
    stages: ClassVar[tuple[str, ...]] = ("3", "4", "5")

    @classmethod
    def example(cls) -> Self:
        return cls(width=8, stem_stride=2)

    def __post_init__(self) -> None:
        if self.width < 8 or self.width % 8:
            raise ValueError(f"width must be a multiple of 8, but got width={self.width!r}")
        if self.stem_stride not in (1, 2):
            raise ValueError(
                f"stem_stride must be 1 or 2, but got stem_stride={self.stem_stride!r}"
            )
        if self.norm not in ("batch", "group"):
            raise ValueError(f'norm must be "batch" or "group", but got norm={self.norm!r}')

    def build(self, classes: int, channels: int) -> nn.Module:
        w = self.width
        return nn.Sequential(
            nn.Conv2d(channels, w, 3, self.stem_stride, 1, bias=False),
            _norm(self.norm, w),
            nn.ReLU(inplace=True),
            BasicBlock(w, w, 1, self.norm),
            BasicBlock(w, 2 * w, 2, self.norm),
            BasicBlock(2 * w, 4 * w, 2, self.norm),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4 * w, classes),
        )


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al., 2016)."""

    def __init__(self, width_in: int, width: int, stride: int, norm: str = "batch") -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.norm1 = _norm(norm, width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm2 = _norm(norm, width)
        self.shortcut = nn.Sequential()
        if stride != 1 or width_in != width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(width_in, width, 1, stride, bias=False), _norm(norm, width)
            )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW = F.relu(self.norm1(self.conv1(x_BCHW)))
        y_BCHW = self.norm2(self.conv2(y_BCHW)) + self.shortcut(x_BCHW)
        return F.relu(y_BCHW)


def _norm(kind: str, width: int) -> nn.Module:
    return nn.BatchNorm2d(width) if kind == "batch" else nn.GroupNorm(2, width)
