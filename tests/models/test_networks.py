"""Networks: what all of them promise, and that their features are those which the head reads.

B batch, K classes, D feature width.
"""

import pytest
import torch
from torch import nn

from dfkd.models.networks import (
    NETWORKS,
    CifarResNet,
    CifarVGG11,
    Network,
    SmallResNet,
    Tapped,
    Torchvision,
    WideResNet,
    classifier_head,
    stages_of,
)
from dfkd.testing import NetworkSuite

NETWORKS_HERE = (
    SmallResNet(width=8),
    SmallResNet(width=16, stem_stride=2),
    SmallResNet(width=8, norm="group"),
    CifarResNet(depth=18),
    CifarVGG11(),
    WideResNet(depth=16, width=1),
    Torchvision(name="resnet18"),
)


class TestEveryNetwork(NetworkSuite):
    @pytest.fixture(params=NETWORKS_HERE, ids=str)
    def piece(self, request: pytest.FixtureRequest) -> Network:
        return request.param

    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize("side", [8, 16, 32])
    def test_images_of_other_sizes_become_logits(self, piece, side, channels) -> None:
        assert built(piece, channels=channels)(images(6, channels, side)).shape == (6, 7)

    def test_ours_have_two_stages_or_more_with_ever_more_channels(self, piece) -> None:
        shapes = Tapped(built(piece), stages_of(piece)).map_shapes((32, 32, 3))
        channels = [c for c, _, _ in shapes]
        assert len(shapes) >= 2 and channels == sorted(channels)
        assert all(height == width for _, height, width in shapes)

    def test_nothing_is_caught_while_a_network_is_used_by_itself(self, piece) -> None:
        module = built(piece).eval()
        tapped = Tapped(module, piece.stages)
        module(images())
        assert tapped._caught is None


def test_every_listed_network_is_tested():
    assert {type(network) for network in NETWORKS_HERE} == set(NETWORKS)


def built(network: Network, classes: int = 7, channels: int = 3, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return network.build(classes, channels)


def images(batch: int = 6, channels: int = 3, side: int = 16) -> torch.Tensor:
    return torch.randn(batch, channels, side, side, generator=torch.Generator().manual_seed(1))


def test_tapping_adds_nothing_to_the_network_that_is_kept():
    module = built(SmallResNet(width=8))
    names = list(module.state_dict())
    tapped = Tapped(module)
    assert tapped.network is module and list(module.state_dict()) == names


def test_the_head_is_the_last_linear_layer():
    last = nn.Linear(5, 3)
    assert classifier_head(nn.Sequential(nn.Linear(4, 5), nn.ReLU(), last)) is last
    with pytest.raises(
        ValueError, match="a network needs a Linear layer as its head, but got none in Sequential"
    ):
        Tapped(nn.Sequential(nn.Flatten()))


def test_group_norm_has_no_batch_statistics():
    module = built(SmallResNet(width=8, norm="group")).train()
    assert module(images())[:2].allclose(module(images()[:2]), atol=1e-5)
    assert not list(module.buffers())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"width": 4}, "width must be a multiple of 8, but got width=4"),
        ({"width": 12}, "width must be a multiple of 8"),
        ({"width": 0}, "width must be a multiple of 8"),
        ({"width": 8, "stem_stride": 3}, "stem_stride must be 1 or 2"),
        ({"width": 8, "norm": "layer"}, 'norm must be "batch" or "group"'),
    ],
)
def test_small_res_net_refuses_other_shapes(fields, message):
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        SmallResNet(**fields)


# ---- the networks of the published pairs


@pytest.mark.parametrize(
    ("network", "millions", "width"),
    [
        (CifarResNet(depth=18), 11.17, 512),
        (CifarResNet(depth=34), 21.28, 512),
        (CifarVGG11(), 9.23, 512),
        (WideResNet(depth=40, width=2), 2.24, 128),
        (WideResNet(depth=40, width=1), 0.56, 64),
        (WideResNet(depth=16, width=2), 0.69, 128),
        (WideResNet(depth=16, width=1), 0.18, 64),
    ],
    ids=str,
)
def test_parameters_are_as_many_as_published(network, millions, width):
    module = network.build(10, 3)
    assert sum(p.numel() for p in module.parameters()) / 1e6 == pytest.approx(millions, abs=0.005)
    assert Tapped(module).width == width


def test_the_networks_of_a_published_pair_have_maps_of_the_same_size():
    def shapes(network: Network) -> list[tuple[int, int]]:
        maps = Tapped(network.build(10, 3), stages_of(network)).map_shapes((32, 32, 3))
        return [(c, h) for c, h, _ in maps]

    assert (
        shapes(CifarResNet(depth=34))
        == shapes(CifarResNet(depth=18))
        == [(64, 32), (128, 16), (256, 8), (512, 4)]
    )
    assert shapes(CifarVGG11()) == [(128, 16), (256, 8), (512, 4), (512, 4)]
    assert shapes(WideResNet(depth=40, width=2)) == [(32, 32), (64, 16), (128, 8)]
    assert shapes(WideResNet(depth=16, width=1)) == [(16, 32), (32, 16), (64, 8)]


def test_a_wide_resnet_adds_before_it_activates():
    """At most one of a block's inputs is rectified: negative numbers reach the next one."""
    *_, last = Tapped(built(WideResNet(depth=16, width=1)), ("stage3",))(images(side=32))
    assert (last < 0).any()


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("resnet18", ("layer1", "layer2", "layer3", "layer4")),
        ("mobilenet_v3_small", ("features.1", "features.3", "features.8", "features.12")),
        ("shufflenet_v2_x0_5", ("maxpool", "stage2", "stage3", "conv5")),
        ("regnet_x_400mf", tuple(f"trunk_output.block{i}" for i in (1, 2, 3, 4))),
    ],
)
def test_stages_of_torchvisions_networks_are_the_last_at_each_resolution(name, stages):
    assert Torchvision(name=name).stages == stages


def test_a_transformer_of_torchvision_has_features_but_no_stages():
    with torch.device("meta"):
        assert Tapped(Torchvision(name="vit_b_32").build(10, 1)).width == 768
    with pytest.raises(ValueError, match=r"but Torchvision names none: give it `stages`"):
        stages_of(Torchvision(name="vit_b_32"))


def test_finding_stages_does_not_move_the_random_state():
    before = torch.random.get_rng_state()
    assert Torchvision(name="mnasnet0_5").stages
    assert torch.random.get_rng_state().equal(before)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CifarResNet(depth=50), r"depth of CifarResNet must be 18 or 34, but got depth=50"),
        (lambda: WideResNet(depth=18, width=1), r"depth of WideResNet must be 6n \+ 4"),
        (lambda: WideResNet(depth=16, width=0), r"width of WideResNet must be 1 or more"),
        (
            lambda: Torchvision(name="resnet"),
            r"torchvision.s classifiers, alexnet, .*, but got name=.resnet.",
        ),
        (lambda: Torchvision(name="fcn_resnet50"), r"one of torchvision's classifiers"),
        (
            lambda: Torchvision(name="squeezenet1_1"),
            r"head is a Linear layer, but got squeezenet1_1",
        ),
    ],
)
def test_impossible_networks_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
