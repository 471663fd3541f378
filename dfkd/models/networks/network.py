"""What a network's description promises, and `Tapped`, which reads features from outside.

B batch, C channels, H height, W width, K classes, D feature width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, Self

import torch
from torch import Tensor, nn

from dfkd.identity import Piece


class Network(Protocol):
    """A network's description, as a frozen dataclass.

    A network of your own inherits BaseNetwork and has `version` and `build`. One that is to serve
    losses on maps also names its `stages`.
    """

    version: ClassVar[int]

    @classmethod
    def example(cls) -> Self:
        """Return an instance with likely values, for tables and tests."""

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of submodules, as in `named_modules`, whose outputs are maps [B, C, H, W].

        The last stage comes last; () where there are none.
        """

    def build(self, classes: int, channels: int) -> nn.Module:
        """Make a module from images [B, C, H, W] to logits [B, K].

        Its last Linear layer reads the pooled features [B, D]. Weights are drawn from PyTorch's own
        random state, which the caller seeds.
        """


class BaseNetwork(Piece):
    """What a network's description may leave out: it names no stages."""

    @property
    def stages(self) -> tuple[str, ...]:
        """No submodule."""
        return ()


def stages_of(network: Network) -> tuple[str, ...]:
    """Return the names of the network's stages. ValueError if it names none."""
    if not network.stages:
        raise ValueError(
            f"a loss reads the maps of the network's stages, but {type(network).__name__} names "
            "none: give it `stages`, a tuple with the names of submodules"
        )
    return network.stages


def load_weights(module: nn.Module, weights: dict[str, Tensor]) -> None:
    """Put weights into a module, all of them and no others, or raise RuntimeError.

    They are taken as weights of its layers as these are now: a plain dict does not say of which
    version it is, and MNASNet, for one, refuses that.
    """
    state = module.state_dict()  # has the versions
    for name in state.keys() - weights.keys():
        del state[name]
    state.update(weights)
    module.load_state_dict(state)


class Tapped(nn.Module):
    """Wraps a classifier so that a forward pass gives features and maps beside the logits.

    The pooled features [B, D] are what the head reads, the maps [B, C, H, W] those of the stages
    that were named. They are caught by hooks on the last Linear layer and on the stages, so that no
    network has to be rewritten for it.
    """

    def __init__(self, network: nn.Module, stages: Sequence[str] = ()) -> None:
        super().__init__()
        self.network = network
        head = classifier_head(network)
        self.width = head.in_features
        self._stages = tuple(stages)
        # None while nobody asks: the network is also used by itself
        self._caught: dict[str, Tensor] | None = None
        head.register_forward_pre_hook(self._catch_features)
        for name in self._stages:
            network.get_submodule(name).register_forward_hook(self._catch_map(name))

    def _catch_features(self, head: nn.Module, inputs: tuple[Tensor]) -> None:
        if self._caught is not None:
            self._caught["features"] = inputs[0]

    def _catch_map(self, name: str) -> Any:
        def catch(stage: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
            if self._caught is not None:
                self._caught[f"stage {name}"] = output

        return catch

    def forward(self, images_BCHW: Tensor) -> tuple[Tensor, ...]:
        """Return logits, features and, one after the other, the stages' maps."""
        caught: dict[str, Tensor] = {}
        self._caught = caught
        try:
            logits_BK = self.network(images_BCHW)
        finally:
            self._caught = None
        if "features" not in caught:
            raise ValueError(
                f"the last Linear layer of {type(self.network).__name__} is not used in its "
                "forward pass: register the layer that gives the logits after all others"
            )
        return logits_BK, caught["features"], *(caught[f"stage {name}"] for name in self._stages)

    def map_shapes(self, image_shape: tuple[int, int, int]) -> tuple[tuple[int, int, int], ...]:
        """Return (C, H, W) of each stage for images (H, W, C).

        One black image is passed in eval mode, which changes nothing.
        """
        height, width, channels = image_shape
        parameter = next(self.parameters())
        trains = self.training
        self.eval()
        with torch.no_grad():
            _, _, *maps = self(parameter.new_zeros(1, channels, height, width))
        self.train(trains)
        return tuple((m.shape[1], m.shape[2], m.shape[3]) for m in maps)


def classifier_head(network: nn.Module) -> nn.Linear:
    """Return the last Linear layer. Raises ValueError if there is none."""
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not layers:
        raise ValueError(
            f"a network needs a Linear layer as its head, but got none in {type(network).__name__}"
        )
    return layers[-1]
