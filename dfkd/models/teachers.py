"""Teachers: trained here once per task and seed, or read from a file. Found again by content, stored as safetensors."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dfkd.data.tasks import Split, Task
from dfkd.data.transforms import Crop, to_tensor
from dfkd.files import replace_file, write_json
from dfkd.models.networks import Network
from dfkd.randomness import stream
from dfkd.values import digest, location, spec


@dataclass(frozen=True, kw_only=True)
class TrainedNetwork:
    """A network with its weights. `digest` is that of both: the same weights with another stride answer otherwise."""

    network: Network
    weights: dict[str, Tensor] = field(repr=False)
    digest: str

    def build(self, task: Task) -> nn.Module:
        module = self.network.build(task.classes, task.image_shape[2])
        module.load_state_dict(self.weights)
        return module


class Teacher(Protocol):
    """Where the teacher comes from. `seed` is the block's, for teachers that are trained here."""

    version: ClassVar[int]

    @property
    def network(self) -> Network: ...

    def check(self, task: Task) -> None:
        """ValueError with one line if it cannot serve this task."""
        ...

    def obtain(self, task: Task, storage: Path, seed: int = 0) -> TrainedNetwork:
        """The teacher, ready. ValueError as in `check`."""
        ...


@dataclass(frozen=True, kw_only=True)
class SupervisedTeacher:
    """Trained on the task's training split with cross-entropy: AdamW, one-cycle learning rate, shifted copies.

    steps, batch: optimizer steps and images per step; learning_rate: the cycle's peak; shift: largest shift in pixels;
    smoothing: label smoothing in [0, 1).
    """

    network: Network
    steps: int = 500
    batch: int = 128
    learning_rate: float = 5e-3
    weight_decay: float = 1e-2
    shift: int = 1
    smoothing: float = 0.0
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 2:
            raise ValueError(f"a teacher needs 1 step and a batch of 2 or more, but got {self.steps=}, {self.batch=}")
        if not 0 < self.learning_rate < math.inf or not 0 <= self.weight_decay < math.inf:
            raise ValueError(
                "a teacher's learning_rate must be above 0 and its weight_decay 0 or more, "
                f"but got {self.learning_rate=}, {self.weight_decay=}"
            )
        if self.shift < 0 or not 0 <= self.smoothing < 1:
            raise ValueError(
                "a teacher's shift must be 0 pixels or more and its smoothing lie in [0, 1), "
                f"but got {self.shift=}, {self.smoothing=}"
            )

    def check(self, task: Task) -> None:
        """It is trained for whatever task it is given."""

    def obtain(self, task: Task, storage: Path, seed: int = 0) -> TrainedNetwork:
        folder = storage / "teachers" / digest([spec(self), spec(task), seed])
        if not (folder / "teacher.json").exists():
            _store(folder, self._train(task, seed), {"teacher": spec(self), "task": spec(task), "seed": seed})
        return TeacherFile(path=str(folder / "teacher.safetensors"), network=self.network).obtain(task, storage)

    def _train(self, task: Task, seed: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream(seed, "teacher"))
            module = self.network.build(task.classes, task.image_shape[2])
        optimizer = torch.optim.AdamW(module.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.learning_rate, total_steps=self.steps)
        train = task.train()
        for step in range(self.steps):
            rng = np.random.default_rng(stream(seed, "teacher batches", step))
            rows_B = rng.integers(0, len(train.labels), self.batch)
            views = Crop(padding=self.shift, flip=False).augment(train.images[rows_B], stream(seed, "shifts", step))
            logits_BK = module(to_tensor(views, task))
            loss = F.cross_entropy(logits_BK, torch.from_numpy(train.labels[rows_B]), label_smoothing=self.smoothing)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        return module


@dataclass(frozen=True, kw_only=True)
class TeacherFile:
    """A safetensors file with the state dict of a named network. Identity is the weights, not the path."""

    path: str = location()
    network: Network
    version: ClassVar[int] = 1

    def check(self, task: Task) -> None:
        self._weights(task)

    def _weights(self, task: Task) -> dict[str, Tensor]:
        weights = _read(Path(self.path))
        expected = self.network.build(task.classes, task.image_shape[2]).state_dict()
        _check_weights(self, task.classes, weights, {name: tuple(value.shape) for name, value in expected.items()})
        return weights

    def obtain(self, task: Task, storage: Path, seed: int = 0) -> TrainedNetwork:
        weights = self._weights(task)
        both = digest([spec(self.network), weights_digest(weights)], 64)
        return TrainedNetwork(network=self.network, weights=weights, digest=both)


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise ValueError(f"the teacher file {path} does not exist: name a .safetensors file with the teacher's weights")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"the teacher file {path} is no readable safetensors file ({error}): save it again") from error


def _check_weights(
    file: TeacherFile, classes: int, weights: dict[str, Tensor], shapes: dict[str, tuple[int, ...]]
) -> None:
    """One line for the first thing that does not fit; where only the head has another height, it is named as that."""
    path = file.path
    if weights.keys() != shapes.keys():
        odd = sorted(weights.keys() ^ shapes.keys())
        raise ValueError(
            f"the teacher file {path} does not hold a {file.network}: {len(odd)} names differ, such as {odd[0]!r}"
        )
    got = {name: tuple(value.shape) for name, value in weights.items()}
    odd = [name for name, shape in shapes.items() if got[name] != shape]
    if not odd:
        return
    only_head = all(shapes[name][:1] == (classes,) and got[name][1:] == shapes[name][1:] for name in odd)
    what = f"{got[odd[0]][0]} classes where the task has {classes}" if only_head else "another network"
    raise ValueError(
        f"the teacher file {path} is for {what}: {odd[0]} must have shape {shapes[odd[0]]}, but got {got[odd[0]]}"
    )


def weights_digest(weights: dict[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes, in the order of names."""
    result = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name].detach().cpu().contiguous()
        result.update(f"{name}:{value.dtype}:{tuple(value.shape)};".encode())
        result.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return result.hexdigest()


def _store(folder: Path, module: nn.Module, configuration: dict[str, object]) -> None:
    """Weights first, configuration last: a folder with `teacher.json` is complete."""
    weights = {name: value.contiguous() for name, value in module.state_dict().items()}
    replace_file(folder / "teacher.safetensors", lambda half: save_file(weights, half))
    write_json(folder / "teacher.json", configuration)


def accuracy(module: nn.Module, split: Split, task: Task, device: str = "cpu") -> float:
    """Share of right answers in [0, 1]; the module is put in eval mode."""
    return float((predict(module, split.images, task, device) == split.labels).mean())


def predict(
    module: nn.Module, images_NHWC: NDArray[np.uint8], task: Task, device: str = "cpu"
) -> NDArray[np.int64]:
    """The most likely class of each image [N], in batches of 512."""
    module.eval()
    with torch.inference_mode():
        starts = range(0, len(images_NHWC), 512)
        answers = [module(to_tensor(images_NHWC[start : start + 512], task, device)).argmax(1) for start in starts]
    labels_N: NDArray[np.int64] = torch.cat(answers).cpu().numpy()
    return labels_N


TEACHERS: tuple[type[Teacher], ...] = (SupervisedTeacher, TeacherFile)
