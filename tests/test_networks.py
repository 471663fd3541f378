"""Networks: what all of them promise, and that their features are those which the head reads.

B batch, K classes, D feature width.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from dfkd.models.networks import NETWORKS, Network, SmallResNet, Tapped, classifier_head

RECIPES: dict[type[Network], tuple[Callable[[], Network], ...]] = {
    SmallResNet: (
        lambda: SmallResNet(width=8),
        lambda: SmallResNet(width=16, stem_stride=2),
        lambda: SmallResNet(width=8, norm="group"),
    ),
}
each_network = pytest.mark.parametrize(
    "network", [make() for kind in NETWORKS for make in RECIPES.get(kind, ())], ids=str
)


def built(network: Network, classes: int = 7, channels: int = 3, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return network.build(classes, channels)


def images(batch: int = 6, channels: int = 3, side: int = 16) -> torch.Tensor:
    return torch.randn(batch, channels, side, side, generator=torch.Generator().manual_seed(1))


def test_every_listed_network_is_tested():
    assert set(RECIPES) == set(NETWORKS)


@each_network
@pytest.mark.parametrize(("channels", "classes"), [(1, 10), (3, 2)])
def test_images_become_logits(network, channels, classes):
    for side in (8, 16, 32):
        assert built(network, classes, channels)(images(6, channels, side)).shape == (6, classes)


@each_network
def test_pytorchs_random_state_decides_the_start(network):
    one, again, other = (built(network, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(one[name].equal(again[name]) for name in one)
    assert any(not one[name].equal(other[name]) for name in one)


@each_network
def test_features_are_what_the_head_reads(network):
    module = built(network).eval()
    tapped = Tapped(module)
    logits_BK, features_BD = tapped(images())
    head = classifier_head(module)
    assert features_BD.shape == (6, tapped.width) == (6, head.in_features)
    assert logits_BK.equal(head(features_BD))
    assert logits_BK.equal(module(images()))


@each_network
def test_features_and_logits_carry_gradients_to_every_parameter(network):
    tapped = Tapped(built(network)).train()
    logits_BK, features_BD = tapped(images())
    (logits_BK.square().sum() + features_BD.square().sum()).backward()
    for name, parameter in tapped.named_parameters():
        assert parameter.grad is not None and (parameter.grad != 0).any(), name


@each_network
def test_an_answer_does_not_depend_on_the_rest_of_the_batch(network):
    module = built(network).eval()
    assert module(images())[:2].allclose(module(images()[:2]), atol=1e-5)


@each_network
def test_weights_survive_a_file(network, tmp_path: Path):
    module = built(network)
    save_file({name: value.contiguous() for name, value in module.state_dict().items()}, tmp_path / "w")
    other = built(network, seed=1)
    other.load_state_dict(load_file(tmp_path / "w"))
    assert other.eval()(images()).equal(module.eval()(images()))


def test_tapping_adds_nothing_to_the_network_that_is_kept():
    module = built(SmallResNet(width=8))
    names = list(module.state_dict())
    tapped = Tapped(module)
    assert tapped.network is module and list(module.state_dict()) == names


def test_the_head_is_the_last_linear_layer():
    last = nn.Linear(5, 3)
    assert classifier_head(nn.Sequential(nn.Linear(4, 5), nn.ReLU(), last)) is last
    with pytest.raises(ValueError, match="a network needs a Linear layer as its head, but got none in Sequential"):
        Tapped(nn.Sequential(nn.Flatten()))


def test_group_norm_has_no_batch_statistics():
    module = built(SmallResNet(width=8, norm="group")).train()
    assert module(images())[:2].allclose(module(images()[:2]), atol=1e-5)
    assert not list(module.buffers())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"width": 4}, "width must be a multiple of 8, but got self.width=4"),
        ({"width": 12}, "width must be a multiple of 8"),
        ({"width": 0}, "width must be a multiple of 8"),
        ({"width": 8, "stem_stride": 3}, "stem_stride must be 1 or 2"),
        ({"width": 8, "norm": "layer"}, 'norm must be "batch" or "group"'),
    ],
)
def test_small_res_net_refuses_other_shapes(fields, message):
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        SmallResNet(**fields)
