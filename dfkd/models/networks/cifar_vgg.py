"""VGG-11 with BatchNorm for images of 32x32."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from dfkd.models.networks.network import BaseNetwork
from dfkd.models.networks.wide_resnet import he_start

WIDTHS = ((64,), (128,), (256, 256), (512, 512), (512, 512))  # of the convolutions in each block


@dataclass(frozen=True, kw_only=True)
class CifarVGG11(BaseNetwork):
    """Builds VGG-11 with BatchNorm and one Linear layer (Simonyan and Zisserman, 2015).

    It is cut as RepDistiller and CMI cut it: five blocks, the first three followed by max-pooling,
    then global average pooling; 9.2 million parameters.
    Range: no fields.
    """

    version: ClassVar[int] = 1
    # not the first block, which serves as the stem: four stages, as the ResNets have that it is
    # paired with
    stages: ClassVar[tuple[str, ...]] = ("block1", "block2", "block3", "block4")

    def build(self, classes: int, channels: int) -> nn.Module:
        parts: list[tuple[str, nn.Module]] = []
        width_in = channels
        for index, widths in enumerate(WIDTHS):
            layers: list[nn.Module] = []
            for width in widths:
                layers += [
                    nn.Conv2d(width_in, width, 3, 1, 1),
                    nn.BatchNorm2d(width),
                    nn.ReLU(inplace=True),
                ]
                width_in = width
            parts.append((f"block{index}", nn.Sequential(*layers)))
            if index < 3:
                parts.append((f"pool{index}", nn.MaxPool2d(2)))
        parts += [
            ("pool", nn.AdaptiveAvgPool2d(1)),
            ("flat", nn.Flatten()),
            ("head", nn.Linear(width_in, classes)),
        ]
        return he_start(nn.Sequential(OrderedDict(parts)))
