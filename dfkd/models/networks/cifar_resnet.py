"""ResNet-18 and ResNet-34 for images of 32x32."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar, Self

from torch import nn

from dfkd.models.networks.network import BaseNetwork
from dfkd.models.networks.small_resnet import BasicBlock

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}  # of each stage


@dataclass(frozen=True, kw_only=True)
class CifarResNet(BaseNetwork):
    """Builds ResNets of basic blocks (He et al., 2016) with the stem for images of 32x32.

    The stem is one 3x3 convolution of stride 1, without pooling. These are the networks of DFND,
    CMI and most data-free work; 11.17 and 21.28 million parameters at 10 classes.
    depth: 18 or 34.
    """

    depth: int
    version: ClassVar[int] = 1
    stages: ClassVar[tuple[str, ...]] = ("stage1", "stage2", "stage3", "stage4")

    @classmethod
    def example(cls) -> Self:
        return cls(depth=18)

    def __post_init__(self) -> None:
        if self.depth not in BLOCKS:
            raise ValueError(f"depth of CifarResNet must be 18 or 34, but got depth={self.depth!r}")

    def build(self, classes: int, channels: int) -> nn.Module:
        stem = nn.Sequential(
            nn.Conv2d(channels, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)
        )
        parts: list[tuple[str, nn.Module]] = [("stem", stem)]
        width_in = 64
        for index, blocks in enumerate(BLOCKS[self.depth]):
            width = 64 * 2**index
            first = BasicBlock(width_in, width, 1 if index == 0 else 2)
            others = [BasicBlock(width, width, 1) for _ in range(blocks - 1)]
            parts.append((self.stages[index], nn.Sequential(first, *others)))
            width_in = width
        parts += [
            ("pool", nn.AdaptiveAvgPool2d(1)),
            ("flat", nn.Flatten()),
            ("head", nn.Linear(width_in, classes)),
        ]
        return nn.Sequential(OrderedDict(parts))
