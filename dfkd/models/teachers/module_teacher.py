"""The user's own network as a teacher, as it stands in memory."""

import copy
import re
from dataclasses import InitVar, dataclass
from typing import ClassVar, Self

from torch import nn

from dfkd.data.tasks import Task
from dfkd.identity import digest
from dfkd.models.networks import Network
from dfkd.models.teachers.teacher import (
    BaseTeacher,
    TrainedNetwork,
    check_serves,
    network_digest,
    weights_digest,
)
from dfkd.storage import Storage


@dataclass(frozen=True, kw_only=True)
class ModuleTeacher(BaseTeacher):
    """Takes your own `nn.Module` with its weights, in a notebook or in a recipe module.

        net = my_project.load_net()  # normalised images [B, C, H, W] to logits [B, K]
        experiment = replace(recipes.digits(), teacher=ModuleTeacher(module=net))

    module: a copy of it is kept. Its last Linear layer must give the logits and read the pooled
    features; nothing else is asked of it.
    stages: names of submodules for losses on maps, as in `Network`.
    kind, content: the class, and a digest of the weights and of the layers as they print
    themselves, read from the module. They are the identity; so is revision: raise it when `forward`
    makes something else of the same layers.
    Interplay: finished cells are told from the ledger without the module; to compute another one it
    has to be handed over again, by the recipe module or the notebook that made it. Workers unpickle
    it: its class has to lie in a module that they can import, or in the notebook. It travels with
    every cell: beyond 100 MB prefer `TeacherFile`.
    """

    module: InitVar[nn.Module | None] = None
    kind: str = ""
    content: str = ""
    revision: int = 1
    stages: tuple[str, ...] = ()
    version: ClassVar[int] = 1

    @classmethod
    def example(cls) -> Self:
        return cls(kind="my_project.Net", content="0123456789abcdef0123")

    def __post_init__(self, module: nn.Module | None) -> None:
        if module is None and self.kind and self.content:
            return
        if not isinstance(module, nn.Module):
            raise ValueError(
                "a ModuleTeacher needs module=, an nn.Module with its weights loaded, but got "
                f"{module!r}"
            )
        kept = copy.deepcopy(module).cpu().eval().requires_grad_(False)
        # an address is another one in every process
        layers = re.sub(r"0x[0-9a-f]+", "", repr(kept))
        object.__setattr__(self, "_kept", kept)
        object.__setattr__(self, "kind", f"{type(module).__module__}.{type(module).__qualname__}")
        object.__setattr__(self, "content", digest([layers, weights_digest(kept.state_dict())]))

    @property
    def network(self) -> Network:
        """The teacher itself, which describes its network."""
        return self

    def build(self, classes: int, channels: int) -> nn.Module:
        """Return a copy: hooks and devices of one use are not another's.

        Raises ValueError where the module is not here any more.
        """
        kept: nn.Module | None = vars(self).get("_kept")
        if kept is None:
            raise ValueError(
                f"the teacher was a network in memory, a {self.kind} with the content "
                f"{self.content}, and is not here: hand it over again with "
                "ModuleTeacher(module=net)"
            )
        return copy.deepcopy(kept)

    def check(self, task: Task) -> None:
        check_serves(
            self.build(task.classes, task.image_shape[2]), task, f"the teacher, a {self.kind},"
        )

    def obtain(self, task: Task, storage: Storage, seed: int = 0) -> TrainedNetwork:
        weights = self.build(task.classes, task.image_shape[2]).state_dict()
        origin = f"a {self.kind} in memory, revision {self.revision}"
        return TrainedNetwork(
            network=self, weights=weights, digest=network_digest(self, weights), origin=origin
        )
