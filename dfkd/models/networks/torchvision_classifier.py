"""Any of torchvision's classifiers, by its name.

B batch, C channels, H height, W width.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from dfkd.models.networks.network import BaseNetwork

MOST_STAGES = 4  # as the residual networks have; earlier ones are stems
SIDE = 224  # of the images that torchvision's classifiers are made for


@dataclass(frozen=True, kw_only=True)
class Torchvision(BaseNetwork):
    """Builds a classifier of torchvision.models with fresh weights.

    It is for images of the size that it was made for.
    name: as in torchvision.models.list_models, such as "resnet50". Where images have other than
    three channels, the first convolution is made for them. The auxiliary heads of GoogLeNet and
    Inception are left out. SqueezeNet, which has no Linear layer as its head, does not serve.
    """

    name: str
    version: ClassVar[int] = 1

    @classmethod
    def example(cls) -> Self:
        return cls(name="resnet50")

    def __post_init__(self) -> None:
        from torchvision import models  # takes a second to import

        known = models.list_models(module=models)
        if self.name not in known:
            raise ValueError(
                f"name must be one of torchvision's classifiers, {', '.join(known)}, but got "
                f"name={self.name!r}"
            )
        if self.name.startswith("squeezenet"):
            raise ValueError(
                f"name must be of a network whose head is a Linear layer, but got {self.name}, "
                "whose head is a convolution: take a small one such as shufflenet_v2_x0_5"
            )

    @property
    def stages(self) -> tuple[str, ...]:
        """The last module at each of the four last resolutions.

        () where there is but one resolution, as in transformers.
        """
        return _stages(self.name)

    def build(self, classes: int, channels: int) -> nn.Module:
        network = _network(self.name, classes)
        if channels != 3:
            _take_channels(network, channels)
        return network


def _network(name: str, classes: int) -> nn.Module:
    from torchvision import models

    extra = (
        {"aux_logits": False, "init_weights": True} if name in ("googlenet", "inception_v3") else {}
    )
    network: nn.Module = models.get_model(name, weights=None, num_classes=classes, **extra)
    return network


def _take_channels(network: nn.Module, channels: int) -> None:
    """Put another first convolution in place."""
    name, first = next((name, m) for name, m in network.named_modules() if isinstance(m, nn.Conv2d))
    settings: dict[str, Any] = {
        key: getattr(first, key) for key in ("kernel_size", "stride", "padding", "dilation")
    }
    other = nn.Conv2d(channels, first.out_channels, bias=first.bias is not None, **settings)
    network.set_submodule(name, other)


@cache
def _stages(name: str) -> tuple[str, ...]:
    """Find the stages by a pass without numbers: all is on PyTorch's meta device."""
    with torch.random.fork_rng(devices=[]):
        network = _network(name, 10).eval().to("meta")
    shapes: dict[str, tuple[int, ...]] = {}
    for path, module in network.named_modules():
        if path.count(".") <= 1:
            module.register_forward_hook(_note(shapes, path))
    network(torch.zeros(1, 3, SIDE, SIDE, device="meta"))
    last_at: dict[int, str] = {}
    for path, shape in shapes.items():
        parent = path.rpartition(".")[0]
        if (
            len(shape) == 4
            and 1 < shape[2] == shape[3] < SIDE
            and _is_candidate(path, parent, shapes, network)
        ):
            last_at.pop(shape[2], None)
            last_at[shape[2]] = path
    return tuple(last_at.values())[-MOST_STAGES:] if len(last_at) > 1 else ()


def _note(shapes: dict[str, tuple[int, ...]], path: str) -> Any:
    def note(module: nn.Module, inputs: tuple[Tensor], output: Any) -> None:
        if isinstance(output, Tensor):
            shapes[path] = tuple(output.shape)

    return note


def _is_candidate(
    path: str, parent: str, shapes: dict[str, tuple[int, ...]], network: nn.Module
) -> bool:
    """Return whether a module is of the first level, or one of several resolutions in it."""
    if parent:
        return _changes_resolution(parent, shapes, network)
    return not _changes_resolution(path, shapes, network)


def _changes_resolution(path: str, shapes: dict[str, tuple[int, ...]], network: nn.Module) -> bool:
    if not path or not isinstance(network.get_submodule(path), nn.Sequential | nn.ModuleList):
        return False
    inside = [shape for other, shape in shapes.items() if other.startswith(f"{path}.")]
    return len({shape[2] for shape in inside if len(shape) == 4}) > 1
