"""A teacher of torchvision's: one of its classifiers with published weights, by name."""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import nn

from dfkd.data.tasks import Task
from dfkd.models.networks import Torchvision
from dfkd.models.teachers.state_dicts import DAMAGED
from dfkd.models.teachers.teacher import BaseTeacher, TrainedNetwork, check_serves, network_digest
from dfkd.storage import Storage

NEAR = 0.02  # means and deviations of pixels in [0, 1] that count as equal
# Published weights of these normalise their input once more
PREPARE_THEMSELVES = ("googlenet", "inception_v3")


@dataclass(frozen=True, kw_only=True)
class TorchvisionWeights(BaseTeacher):
    """Takes weights that torchvision publishes, from PyTorch's cache or downloaded into it.

        TorchvisionWeights(network=Torchvision(name="resnet18"), weights="IMAGENET1K_V1")

    weights: one of the names that torchvision has for this network; "DEFAULT" becomes the name that
    it stands for. The cache is `$TORCH_HOME`.
    Interplay: the task says how large images are and how they are normalised; `platform.teach` says
    where that is not what the weights were trained with. GoogLeNet and Inception are not supported.
    """

    network: Torchvision
    weights: str
    version: ClassVar[int] = 1

    @classmethod
    def example(cls) -> Self:
        return cls(network=Torchvision(name="resnet18"), weights="IMAGENET1K_V1")

    def __post_init__(self) -> None:
        from torchvision import models  # takes a second to import

        known = models.get_model_weights(self.network.name).__members__
        if self.weights not in known or self.network.name in PREPARE_THEMSELVES:
            names = (
                ", ".join(known)
                if self.network.name not in PREPARE_THEMSELVES
                else "those of another network"
            )
            raise ValueError(
                f"weights of {self.network.name} must be {names}, but got weights={self.weights!r}"
            )
        object.__setattr__(self, "weights", known[self.weights].name)

    def check(self, task: Task) -> None:
        """Raise ValueError unless the weights serve; missing ones are downloaded for it."""
        check_serves(self._read(task).build(task), task, self._name)

    def obtain(self, task: Task, storage: Storage, seed: int = 0) -> TrainedNetwork:
        return self._read(task)

    def _read(self, task: Task) -> TrainedNetwork:
        published = self._published()
        classes = len(published.meta["categories"])
        if (classes, 3) != (task.classes, task.image_shape[2]):
            raise ValueError(
                f"{self._name} knows {classes} classes in images of 3 channels, but the task has "
                f"{task.classes} in images of {task.image_shape[2]}: choose a teacher that was "
                "trained on the task"
            )
        weights = {
            name: value.detach() for name, value in self._module(published).state_dict().items()
        }
        origin = f"{self._name}, {_made_for(published.transforms(), task)}"
        digest = network_digest(self.network, weights)
        return TrainedNetwork(network=self.network, weights=weights, digest=digest, origin=origin)

    @property
    def _name(self) -> str:
        return f"torchvision's {self.network.name} with {self.weights}"

    def _published(self) -> Any:
        from torchvision import models

        return models.get_model_weights(self.network.name)[self.weights]

    def _module(self, published: Any) -> nn.Module:
        from torchvision import models

        try:
            with torch.random.fork_rng(devices=[]):
                module: nn.Module = models.get_model(
                    self.network.name, weights=published, progress=False
                )
        except (*DAMAGED, pickle.UnpicklingError) as error:
            reason = " ".join(str(error).split())[:100]
            cache = Path(torch.hub.get_dir()) / "checkpoints"
            raise ValueError(
                f"{self._name} can neither be read from PyTorch's cache nor be downloaded "
                f"({reason}): put {published.url} into {cache}, or set TORCH_HOME to a cache that "
                "has it"
            ) from error
        return module


def _made_for(preset: Any, task: Task) -> str:
    """Return how its images were prepared for training, and whether the task does the same."""
    height, width, _ = task.image_shape
    side, mean, std = preset.crop_size[0], tuple(preset.mean), tuple(preset.std)
    apart = max(abs(a - b) for a, b in zip((*mean, *std), (*task.mean, *task.std), strict=True))
    differs = [f"images of {height}x{width}"] * ((height, width) != (side, side))
    differs += [f"mean {task.mean} and std {task.std}"] * (apart > NEAR)
    verdict = f"but the task has {' with '.join(differs)}" if differs else "as the task has them"
    return f"made for images of {side}x{side} with mean {mean} and std {std}, {verdict}"
