"""What a teacher promises, the network with weights that it gives, and its answers.

N images, B batch, K classes, D feature width.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dfkd.data.images.transforms import to_tensor
from dfkd.data.tasks import Split, Task
from dfkd.identity import Json, Piece, digest, spec
from dfkd.models.networks import Network, Tapped, load_weights
from dfkd.storage import Storage


@dataclass(frozen=True, kw_only=True)
class TrainedNetwork:
    """A network with its weights.

    digest: of both, as the same weights with another stride answer otherwise.
    origin: for people, where the weights come from and what had to be done to them.
    """

    network: Network
    weights: dict[str, Tensor] = field(repr=False)
    digest: str
    origin: str = ""

    def build(self, task: Task) -> nn.Module:
        """Return a module for the task with these weights."""
        module = self.network.build(task.classes, task.image_shape[2])
        load_weights(module, self.weights)
        return module


class Teacher(Protocol):
    """Where the teacher comes from, as a frozen dataclass.

    A teacher of your own inherits BaseTeacher and has `version`, `network` and `obtain`.
    """

    version: ClassVar[int]

    @classmethod
    def example(cls) -> Self:
        """Return an instance with likely values, for tables and tests."""

    @property
    def network(self) -> Network:
        """The network whose weights `obtain` gives."""

    @property
    def trained_here(self) -> bool:
        """Whether `obtain` trains the teacher, and keeps it in the storage."""

    def check(self, task: Task) -> None:
        """Raise ValueError in one line if it cannot serve this task.

        Cheap: at most a batch of two images. It writes nothing into the storage.
        """

    def obtain(self, task: Task, storage: Storage, seed: int = 0) -> TrainedNetwork:
        """Return the teacher, ready to answer. ValueError as in `check`.

        seed: the block's, for teachers that are trained here.
        """


class BaseTeacher(Piece):
    """What a teacher may leave out: it is found as it is, and looked at when it is obtained."""

    @property
    def trained_here(self) -> bool:
        """Not in this storage."""
        return False

    def check(self, task: Task) -> None:
        """Accept: `obtain` raises what is wrong."""


def check_serves(module: nn.Module, task: Task, what: str) -> None:
    """Raise ValueError unless two of the task's images become logits and pooled features.

    what: names the module in the line.
    """
    height, width, channels = task.image_shape
    size = f"images of {height}x{width} with {channels} channels"
    tapped = Tapped(module).eval()
    try:
        with torch.inference_mode():
            logits_BK, features_BD = tapped(torch.zeros(2, channels, height, width))
    # what a forward pass does with odd shapes
    except (RuntimeError, TypeError, AssertionError, IndexError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{what} fails on {size}: choose a task of its size ({reason})") from error
    if not isinstance(logits_BK, Tensor):
        got = type(logits_BK).__name__
        raise ValueError(
            f"{what} must answer with logits, but got a {got}: wrap it in a module that returns "
            "them"
        )
    if logits_BK.shape != (2, task.classes):
        raise ValueError(
            f"{what} must answer two {size} with logits of shape {(2, task.classes)}, one for each "
            f"of the task's classes, but got {tuple(logits_BK.shape)}"
        )
    if features_BD.dim() != 2:
        raise ValueError(
            f"{what} must pool its features before its last Linear layer, to [images, width], but "
            f"got {tuple(features_BD.shape)} there"
        )
    if not logits_BK.isfinite().all():
        raise ValueError(
            f"{what} answers with numbers that are not finite: its weights are damaged"
        )


def network_digest(network: Network, weights: dict[str, Tensor]) -> str:
    """Return the identity of a network with these weights."""
    return digest_by_spec(spec(network), weights)


def digest_by_spec(network: Json, weights: dict[str, Tensor]) -> str:
    """Return the same from what `spec` says of the network."""
    return digest([network, weights_digest(weights)], 64)


def weights_digest(weights: dict[str, Tensor]) -> str:
    """Return the SHA-256 of names, types, shapes and bytes, in the order of names."""
    result = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name].detach().cpu().contiguous()
        result.update(f"{name}:{value.dtype}:{tuple(value.shape)};".encode())
        result.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return result.hexdigest()


def accuracy(module: nn.Module, split: Split, task: Task, device: str = "cpu") -> float:
    """Return the share of right answers in [0, 1]; the module is put in eval mode."""
    return float((predict(module, split.images, task, device) == split.labels).mean())


def predict(
    module: nn.Module, images_NHWC: NDArray[np.uint8], task: Task, device: str = "cpu"
) -> NDArray[np.int64]:
    """Return the most likely class of each image [N]; the module is put in eval mode."""
    labels_N: NDArray[np.int64] = answers(module, images_NHWC, task, device).argmax(1).numpy()
    return labels_N


def answers(
    module: nn.Module, images_NHWC: NDArray[np.uint8], task: Task, device: str = "cpu"
) -> Tensor:
    """Return the logits [N, K] of each image, on the CPU; the module is put in eval mode."""
    module.eval()
    with torch.inference_mode():
        found = [
            module(to_tensor(images_NHWC[start : start + 512], task, device))
            for start in range(0, len(images_NHWC), 512)
        ]
        return torch.cat(found).cpu()
