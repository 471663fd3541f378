"""Wide residual networks for images of 32x32.

B batch, C channels, H height, W width.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar, Self

import torch.nn.functional as F
from torch import Tensor, nn

from dfkd.models.networks.network import BaseNetwork


@dataclass(frozen=True, kw_only=True)
class WideResNet(BaseNetwork):
    """Builds WRN-depth-width (Zagoruyko and Komodakis, 2016) without dropout.

    Three stages of pre-activation blocks. WRN-40-2, 40-1, 16-2 and 16-1 have 2.24, 0.56, 0.69 and
    0.18 million parameters at 10 classes.
    depth: 6n + 4, n blocks in each stage; width: the factor on the stages' 16, 32 and 64 channels.
    A stage's map is the sum before its activation, as RepDistiller reads it.
    """

    depth: int
    width: int
    version: ClassVar[int] = 1
    stages: ClassVar[tuple[str, ...]] = ("stage1", "stage2", "stage3")

    @classmethod
    def example(cls) -> Self:
        return cls(depth=40, width=2)

    def __post_init__(self) -> None:
        if self.depth < 10 or (self.depth - 4) % 6:
            raise ValueError(
                f"depth of WideResNet must be 6n + 4 with n of 1 or more, but got {self.depth}"
            )
        if self.width < 1:
            raise ValueError(f"width of WideResNet must be 1 or more, but got width={self.width!r}")

    def build(self, classes: int, channels: int) -> nn.Module:
        parts: list[tuple[str, nn.Module]] = [
            ("stem", nn.Conv2d(channels, 16, 3, 1, 1, bias=False))
        ]
        width_in = 16
        for index, stage in enumerate(self.stages):
            width = 16 * 2**index * self.width
            first = PreActivationBlock(width_in, width, 1 if index == 0 else 2)
            others = [PreActivationBlock(width, width, 1) for _ in range((self.depth - 4) // 6 - 1)]
            parts.append((stage, nn.Sequential(first, *others)))
            width_in = width
        parts += [("norm", nn.BatchNorm2d(width_in)), ("relu", nn.ReLU(inplace=True))]
        parts += [
            ("pool", nn.AdaptiveAvgPool2d(1)),
            ("flat", nn.Flatten()),
            ("head", nn.Linear(width_in, classes)),
        ]
        return he_start(nn.Sequential(OrderedDict(parts)))


class PreActivationBlock(nn.Module):
    """BatchNorm and ReLU before each of two 3x3 convolutions, and a shortcut.

    Where the width changes, the shortcut is a 1x1 convolution.
    """

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(width_in)
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.shortcut = (
            nn.Conv2d(width_in, width, 1, stride, bias=False) if width_in != width else None
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        active_BCHW = F.relu(self.norm1(x_BCHW))
        y_BCHW: Tensor = self.conv2(F.relu(self.norm2(self.conv1(active_BCHW))))
        return y_BCHW + (x_BCHW if self.shortcut is None else self.shortcut(active_BCHW))


def he_start(network: nn.Sequential) -> nn.Sequential:
    """Draw the weights of convolutions as He et al., 2015, by what they give out.

    The biases of all layers become 0. Returns the network.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
    return network
