"""A kernel of PyTorch's for CPUs that ends the process, and the way round it.

oneDNN's gradient of the weights of a strided 1x1 convolution writes beyond its memory where the
images are laid out channels last and have few channels (github.com/uxlfoundation/oneDNN, issue
6035). Seen with PyTorch 2.14.1 on AVX-512: what is convolved has fewer than 16 channels and is
larger than 54 x 54; reported for AVX2: fewer than 8, of any size. B batch, C channels, H height, W
width.
"""

from typing import Any

import torch
from torch import Tensor, nn

FEW, VERY_FEW = 16, 8  # channels that a kernel takes together, with AVX-512 and with AVX2
SAFE_PIXELS = 48 * 48  # of what is convolved; up to here results stay as they are


def avoid_broken_kernels(network: nn.Module) -> nn.Module:
    """Return the network, of which some convolutions get their images channels first from now on.

    To be called before a network is trained. Where none is large, nothing changes.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and _is_concerned(module):
            module.register_forward_pre_hook(_channels_first)
    return network


def _is_concerned(convolution: nn.Conv2d) -> bool:
    strided = max(convolution.stride) > 1 and convolution.kernel_size == (1, 1)
    return strided and convolution.in_channels < FEW


def _channels_first(convolution: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
    images_BCHW: Tensor = inputs[0]
    channels, height, width = images_BCHW.shape[-3:]
    if images_BCHW.device.type != "cpu" or images_BCHW.dtype != torch.float32:
        return None
    if channels >= VERY_FEW and height * width <= SAFE_PIXELS:
        return None
    return (images_BCHW.contiguous(), *inputs[1:])
