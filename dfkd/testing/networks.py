"""What every network promises.

B batch, C channels, H height, W width, K classes, D feature width.
"""

from pathlib import Path
from typing import ClassVar

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dfkd.models.networks import Network, Tapped, classifier_head, load_weights
from dfkd.testing.suite import PieceSuite

CLASSES = 7


class NetworkSuite(PieceSuite):
    """Runs each of `pieces`, networks, through what teachers and students rely on.

    class TestMine(NetworkSuite):
        pieces = (Mine(width=8),)

    image_shape: (H, W, C) of images that the networks are made for.
    """

    image_shape: ClassVar[tuple[int, int, int]] = (32, 32, 3)

    def built(self, network: Network, seed: int = 0) -> nn.Module:
        """Return a module of the network for CLASSES classes, its weights drawn from the seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return network.build(CLASSES, self.image_shape[2])

    def images(self) -> Tensor:
        """Return six random images [B, C, H, W]."""
        height, width, channels = self.image_shape
        drawn_from = torch.Generator().manual_seed(1)
        return torch.randn(6, channels, height, width, generator=drawn_from)

    def test_images_become_logits_of_any_number_of_classes(self, piece: Network) -> None:
        for classes in (2, 10):
            logits_BK = piece.build(classes, self.image_shape[2])(self.images())
            assert logits_BK.shape == (6, classes)

    def test_pytorchs_random_state_decides_the_start(self, piece: Network) -> None:
        one, again, other = (self.built(piece, seed).state_dict() for seed in (0, 0, 1))
        assert all(one[name].equal(again[name]) for name in one)
        assert any(not one[name].equal(other[name]) for name in one)

    def test_features_are_what_the_head_reads(self, piece: Network) -> None:
        module = self.built(piece).eval()
        tapped, head = Tapped(module), classifier_head(module)
        logits_BK, features_BD = tapped(self.images())
        assert features_BD.shape == (6, tapped.width) == (6, head.in_features)
        assert logits_BK.equal(head(features_BD))
        assert logits_BK.equal(module(self.images()))

    def test_logits_and_features_carry_gradients_to_every_parameter(self, piece: Network) -> None:
        tapped = Tapped(self.built(piece)).train()
        logits_BK, features_BD = tapped(self.images())
        (logits_BK.square().mean() + features_BD.square().mean()).backward()
        for name, parameter in tapped.named_parameters():
            assert parameter.grad is not None and (parameter.grad != 0).any(), name

    def test_an_answer_does_not_depend_on_the_rest_of_the_batch(self, piece: Network) -> None:
        module, images_BCHW = self.built(piece).eval(), self.images()
        alone_BK = module(images_BCHW[:2])
        assert module(images_BCHW)[:2].allclose(alone_BK, rtol=1e-4, atol=1e-4)

    def test_maps_are_what_the_stages_give_out_and_asking_changes_nothing(
        self, piece: Network
    ) -> None:
        module = self.built(piece).eval()
        given: list[Tensor] = []
        for name in piece.stages:
            module.get_submodule(name).register_forward_hook(
                lambda stage, inputs, output: given.append(output)
            )
        logits_BK, features_BD, *maps = Tapped(module, piece.stages)(self.images())
        assert len(maps) == len(piece.stages)
        assert all(mine is theirs for mine, theirs in zip(maps, given, strict=True))
        plain = Tapped(self.built(piece).eval())(self.images())
        assert len(plain) == 2 and logits_BK.equal(plain[0]) and features_BD.equal(plain[1])

    def test_stages_go_down_to_the_last_map_before_the_pooled_features(
        self, piece: Network
    ) -> None:
        tapped = Tapped(self.built(piece), piece.stages)
        before = {name: value.clone() for name, value in tapped.state_dict().items()}
        shapes = tapped.train().map_shapes(self.image_shape)
        assert tapped.training, "asking for the shapes leaves the network as it is"
        assert all(value.equal(before[name]) for name, value in tapped.state_dict().items())
        heights = [height for _, height, _ in shapes]
        assert heights == sorted(heights, reverse=True), "later maps are no larger"
        _, features_BD, *maps = tapped.eval()(self.images())
        assert [tuple(one.shape[1:]) for one in maps] == list(shapes)
        assert not maps or features_BD.shape[1] == maps[-1].shape[1]

    def test_weights_survive_a_file(self, piece: Network, tmp_path: Path) -> None:
        module, other = self.built(piece), self.built(piece, seed=1)
        weights = {name: value.contiguous() for name, value in module.state_dict().items()}
        save_file(weights, tmp_path / "weights.safetensors")
        load_weights(other, load_file(tmp_path / "weights.safetensors"))
        assert other.eval()(self.images()).equal(module.eval()(self.images()))
