"""A teacher from a file of weights, for a named network."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import torch
from torch import Tensor

from dfkd.data.tasks import Task
from dfkd.identity import later, location
from dfkd.models.networks import Network, SmallResNet
from dfkd.models.teachers.matching import Shapes, matched
from dfkd.models.teachers.state_dicts import read_state_dict
from dfkd.models.teachers.teacher import BaseTeacher, TrainedNetwork, check_serves, network_digest
from dfkd.storage import Storage
from dfkd.storage.variables import expanded


@dataclass(frozen=True, kw_only=True)
class TeacherFile(BaseTeacher):
    """Reads the state dict of a named network from a file, without running its code.

    path: of the file, safetensors or PyTorch's own format. A checkpoint around the state dict, a
    prefix of the network's names, and names beside them (a criterion, metrics, auxiliary heads) are
    taken off, and `platform.teach` says so. Not identity: the digest of the weights is, the same in
    either format.
    inside: where the file holds several copies of the network, the name of the one that is taken,
    such as "model_ema": of a part of the checkpoint, or in front of the names. "": the raw weights.
    network: one of dfkd.models.networks, or your own: a frozen dataclass in a module of yours, such
    as

        @dataclass(frozen=True, kw_only=True)
        class MyNet(BaseNetwork):
            version: ClassVar[int] = 1

            def build(self, classes: int, channels: int) -> nn.Module:
                return my_project.Net(classes)

    Interplay: images are normalised with the task's mean and std; they have to be those that the
    teacher was trained with.
    """

    path: str = location()
    network: Network
    inside: str = later("")
    version: ClassVar[int] = 1

    @classmethod
    def example(cls) -> Self:
        return cls(path="t.safetensors", network=SmallResNet(width=8))

    def check(self, task: Task) -> None:
        """Raise ValueError if the file cannot be read or its network does not serve the task."""
        check_serves(self._read(task).build(task), task, f"the teacher file {self.path}")

    def obtain(self, task: Task, storage: Storage, seed: int = 0) -> TrainedNetwork:
        return self._read(task)

    def _read(self, task: Task) -> TrainedNetwork:
        path = expanded(self.path)
        weights, taken_off = read_state_dict(path, self.inside)
        with torch.random.fork_rng(devices=[]):
            expected = self.network.build(task.classes, task.image_shape[2]).state_dict()
        shapes = {name: tuple(value.shape) for name, value in expected.items()}
        try:
            weights, more = matched(weights, shapes)
        except ValueError as error:
            raise ValueError(f"the teacher file {path} {error}") from error
        _check_fits(path, self.network, task.classes, weights, shapes)
        _check_real(path, weights, expected)
        origin = ", ".join([f"from {path.name}", *taken_off, *more])
        digest = network_digest(self.network, weights)
        return TrainedNetwork(network=self.network, weights=weights, digest=digest, origin=origin)


def _check_fits(
    path: Path, network: Network, classes: int, weights: dict[str, Tensor], shapes: Shapes
) -> None:
    """Raise ValueError for the first thing that does not fit.

    Where only the head has another height, that is said.
    """
    if weights.keys() != shapes.keys():
        odd = sorted(weights.keys() ^ shapes.keys())
        where = "is not in the file" if odd[0] in shapes else "is in the file only"
        raise ValueError(
            f"the teacher file {path} does not hold a {network}: {len(odd)} names differ, such as "
            f"{odd[0]!r}, which {where}; name the network that it is of, such as "
            "teacher.network=torchvision teacher.network.name=resnet18"
        )
    got = {name: tuple(value.shape) for name, value in weights.items()}
    odd = [name for name, shape in shapes.items() if got[name] != shape]
    if not odd:
        return
    only_head = all(
        shapes[name][:1] == (classes,) and got[name][:1] and got[name][1:] == shapes[name][1:]
        for name in odd
    )
    what = (
        f"{got[odd[0]][0]} classes where the task has {classes}" if only_head else "another network"
    )
    raise ValueError(
        f"the teacher file {path} is for {what}: {odd[0]} must have shape {shapes[odd[0]]}, but "
        f"got {got[odd[0]]}"
    )


def _check_real(path: Path, weights: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Raise ValueError for whole or complex numbers in the place of real ones: no teacher's."""
    real = [name for name, value in expected.items() if value.is_floating_point()]
    odd = [name for name in real if not weights[name].is_floating_point()]
    if odd:
        raise ValueError(
            f"the teacher file {path} has {weights[odd[0]].dtype} in {odd[0]!r}, where real "
            "numbers were expected: a quantised file lacks its scales; save the weights as float32"
        )
