"""The user's own module as a teacher: what it is known by, how it travels, what is refused."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
import torch
from torch import Tensor, nn

from dfkd.data.tasks import Digits
from dfkd.experiment.rebuild import changed, experiment
from dfkd.identity import digest, spec
from dfkd.models.networks import SmallResNet
from dfkd.models.teachers import ModuleTeacher, predict
from dfkd.storage import FolderStorage

TASK = Digits()
SMALL = SmallResNet(width=8, stem_stride=2)


class Net(nn.Module):
    """A user's network: it knows nothing of ours."""

    def __init__(self, stride: int = 2, classes: int = 10) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3, stride=stride), nn.ReLU())
        self.head = nn.Linear(4, classes)

    def forward(self, images: Tensor) -> Any:
        return self.head(self.body(images).mean((2, 3)))


def net(stride: int = 2) -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Net(stride)


def test_a_module_is_a_teacher(tmp_path):
    module = net().train()
    teacher = ModuleTeacher(module=module, stages=("body",))
    teacher.check(TASK)
    found = teacher.obtain(TASK, FolderStorage(tmp_path))
    images = TASK.validation().images
    assert (predict(found.build(TASK), images, TASK) == predict(module, images, TASK)).all()
    with torch.no_grad():
        module.head.weight.zero_()  # what is done to the module later is not done to the teacher
    assert teacher.obtain(TASK, FolderStorage(tmp_path)).digest == found.digest
    assert found.origin == f"a {__name__}.Net in memory, revision 1"


def test_a_modules_identity_is_what_it_holds_not_which_object_it_is():
    teacher = ModuleTeacher(module=net())
    same = ModuleTeacher(module=net())
    assert same == teacher and spec(same) == spec(teacher)
    other_weights = net()
    with torch.no_grad():
        other_weights.head.bias.add_(1)
    others = [
        ModuleTeacher(module=net(stride=1)),  # the same weights, but they answer otherwise
        ModuleTeacher(module=other_weights),
        ModuleTeacher(module=net(), revision=2),
    ]
    assert len({digest(spec(one)) for one in (teacher, *others)}) == 4


def test_a_module_survives_the_way_to_a_worker():
    teacher = ModuleTeacher(module=net())
    for way in (pickle, cloudpickle):
        again = pickle.loads(way.dumps(teacher))
        assert again == teacher
        again.check(TASK)
        assert (
            again.obtain(TASK, FolderStorage(Path())).digest
            == teacher.obtain(TASK, FolderStorage(Path())).digest
        )
        found = pickle.loads(way.dumps(teacher.obtain(TASK, FolderStorage(Path()))))
        assert found.build(TASK).state_dict()["head.weight"].equal(net().head.weight)


def test_changing_another_part_of_an_experiment_by_name_keeps_the_module(tiny):
    own = replace(tiny, teacher=ModuleTeacher(module=net()))
    same = changed(own, {"selection.ratio": "0.4"})
    assert same.selection.ratio == 0.4
    same.teacher.check(TASK)


def test_a_module_that_is_not_there_any_more_is_asked_for(tiny):
    own = replace(tiny, teacher=ModuleTeacher(module=net()))
    told = experiment(own.params())
    assert told.fingerprint() == own.fingerprint()
    with pytest.raises(
        ValueError,
        match=r"was a network in memory, .*Net with the content \w+, and is not here: hand",
    ):
        told.teacher.check(TASK)


class Tuple(Net):
    def forward(self, images: Tensor) -> Any:
        return super().forward(images), images


class Unpooled(Net):
    def forward(self, images: Tensor) -> Any:
        return self.head(self.body(images).permute(0, 2, 3, 1)).mean((1, 2))


class HeadFirst(Net):
    """Its last Linear layer is not its head, and not even used."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Linear(4, 10)


FAULTY: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "for other classes": (
        lambda: Net(classes=7),
        "with logits of shape (2, 10), one for each of the task's classes",
    ),
    "for other channels": (
        lambda: SmallResNet(width=8).build(10, 3),
        "fails on images of 16x16 with 1 channels",
    ),
    "for larger images": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)),
        "fails on images of 16x16",
    ),
    "with a tuple": (Tuple, "must answer with logits, but got a tuple"),
    "without pooling": (Unpooled, "must pool its features before its last Linear layer"),
    "without a head": (lambda: nn.Sequential(nn.Flatten()), "needs a Linear layer as its head"),
    "with another last layer": (
        HeadFirst,
        "the last Linear layer of HeadFirst is not used in its forward pass",
    ),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_module_that_cannot_serve_is_refused_in_one_line(fault):
    make, message = FAULTY[fault]
    with pytest.raises(ValueError) as raised:
        ModuleTeacher(module=make()).check(TASK)
    assert message in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("module", [None, Net, "net.pt"])
def test_what_is_no_module_is_refused(module):
    with pytest.raises(ValueError, match="a ModuleTeacher needs module="):
        ModuleTeacher(module=module)
