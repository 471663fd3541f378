"""Convolutions whose gradient ends the process: they are given their images in another layout."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from dfkd.models.networks import SmallResNet
from dfkd.models.networks.broken_kernels import avoid_broken_kernels

TRAINED = """
import torch
from dfkd.models.networks import SmallResNet
from dfkd.models.networks.broken_kernels import avoid_broken_kernels
network = avoid_broken_kernels(SmallResNet(width=8, stem_stride=2).build(3, 3))
for _ in range(6):
    images_BCHW = torch.randn(8, 224, 224, 3).permute(0, 3, 1, 2)
    network(images_BCHW).square().sum().backward()
print("trained")
"""


def test_a_small_network_learns_from_large_images() -> None:
    ended = subprocess.run([sys.executable, "-c", TRAINED], capture_output=True, text=True)
    assert ended.stdout == "trained\n", ended.stderr  # it was a segmentation fault


@pytest.mark.parametrize(
    ("channels", "side", "changed"), [(8, 48, False), (8, 49, True), (16, 49, False), (4, 8, True)]
)
def test_only_what_is_concerned_gets_another_layout(channels, side, changed) -> None:
    seen: list[Tensor] = []
    network = avoid_broken_kernels(nn.Sequential(nn.Conv2d(channels, 16, 1, 2)))
    network[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images_BCHW = torch.randn(2, side, side, channels).permute(0, 3, 1, 2)
    network(images_BCHW)
    assert (seen[0] == images_BCHW).all()
    assert seen[0].is_contiguous() == changed
    assert (seen[0] is images_BCHW) != changed


def test_weights_keep_their_names() -> None:
    network = SmallResNet(width=8)
    names = network.build(10, 3).state_dict().keys()
    assert avoid_broken_kernels(network.build(10, 3)).state_dict().keys() == names
