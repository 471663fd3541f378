"""How many operations a network takes, counted without computing any."""

from collections.abc import Hashable
from functools import cache
from typing import Any, cast

import torch
from torch.utils.flop_counter import FlopCounterMode

from dfkd.models.networks.network import Network


def operations(network: Network, classes: int, image_shape: tuple[int, int, int]) -> int:
    """Return the operations of a forward pass of one image (H, W, C).

    A multiplication and an addition count as two, as PyTorch counts them.
    """
    return _counted(cast(Hashable, network), classes, image_shape)  # networks are frozen values


@cache
def _counted(network: Any, classes: int, image_shape: tuple[int, int, int]) -> int:
    height, width, channels = image_shape
    with torch.device("meta"):  # nothing is computed
        module = network.build(classes, channels).eval()
        image_BCHW = torch.empty(1, channels, height, width)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            module(image_BCHW)
    return int(counter.get_total_flops())
