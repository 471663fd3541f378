"""Teachers that users bring: what is read, from which formats, and what is refused without being
executed.
"""

import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import cloudpickle
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from dfkd.data.tasks import Digits
from dfkd.experiment.rebuild import changed, experiment
from dfkd.identity import digest, spec
from dfkd.models.networks import SmallResNet, Torchvision
from dfkd.models.teachers import (
    ModuleTeacher,
    SupervisedTeacher,
    TeacherFile,
    TorchvisionWeights,
    TrainedNetwork,
    predict,
    weights_digest,
)

TASK = Digits()
SMALL = SmallResNet(width=8, stem_stride=2)


def weights_of(
    network: SmallResNet = SMALL, classes: int = 10, channels: int = 1
) -> dict[str, Tensor]:
    return {
        name: value.contiguous()
        for name, value in network.build(classes, channels).state_dict().items()
    }


def written(
    path: Path, network: SmallResNet = SMALL, classes: int = 10, channels: int = 1
) -> TeacherFile:
    save_file(weights_of(network, classes, channels), path)
    return TeacherFile(path=str(path), network=network)


def saved(path: Path, content: Any, **how: Any) -> TeacherFile:
    torch.save(content, path, **how)
    return TeacherFile(path=str(path), network=SMALL)


def everything(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


# ---- what is read


def test_a_file_is_the_teacher_whose_weights_it_holds(tmp_path):
    trained = SupervisedTeacher(network=SMALL, steps=3, batch=8).obtain(TASK, tmp_path)
    [path] = tmp_path.rglob("teacher.safetensors")
    moved = tmp_path / "moved.safetensors"
    moved.write_bytes(path.read_bytes())
    from_file = TeacherFile(path=str(moved), network=SMALL).obtain(TASK, tmp_path)
    assert from_file.digest == trained.digest
    images = TASK.validation().images
    assert (
        predict(from_file.build(TASK), images, TASK) == predict(trained.build(TASK), images, TASK)
    ).all()


def test_the_digest_is_of_the_weights_and_of_what_they_are_the_weights_of(tmp_path):
    teacher = written(tmp_path / "t.safetensors")
    weights = teacher.obtain(TASK, tmp_path).weights
    assert weights_digest(dict(reversed(weights.items()))) == weights_digest(weights)
    one_bit = weights | {"0.weight": weights["0.weight"].nextafter(torch.tensor(9.0))}
    other_type = {name: value.double() for name, value in weights.items()}
    renamed = {f"x{name}": value for name, value in weights.items()}
    assert len({weights_digest(w) for w in (weights, one_bit, other_type, renamed)}) == 4
    # the same weights answer otherwise with another stride: scores must not be found under one name
    stride = replace(teacher, network=SmallResNet(width=8, stem_stride=1))
    assert stride.obtain(TASK, tmp_path).digest != teacher.obtain(TASK, tmp_path).digest


def test_a_file_that_serves_passes_the_check(tmp_path):
    teacher = written(tmp_path / "t.safetensors")
    teacher.check(TASK)
    assert isinstance(teacher.obtain(TASK, tmp_path), TrainedNetwork)


def prefixed(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}{name}": value for name, value in weights.items()}


def without_counters(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: value for name, value in weights.items() if not name.endswith("num_batches_tracked")
    }


FORMS: dict[str, tuple[Callable[[dict[str, Tensor]], Any], dict[str, Any], str]] = {
    "plain": (lambda w: w, {}, "from teacher"),
    "of PyTorch before 1.6": (
        lambda w: w,
        {"_use_new_zipfile_serialization": False},
        "from teacher",
    ),
    "a checkpoint": (lambda w: {"epoch": 3, "state_dict": w}, {}, "from teacher, its 'state_dict'"),
    "a module's state dict": (lambda w: SMALL.build(10, 1).state_dict() | w, {}, "from teacher"),
    "of DataParallel": (
        lambda w: prefixed(w, "module."),
        {},
        "from teacher, without the prefix 'module.'",
    ),
    "of all that": (
        lambda w: {"net": {"model": prefixed(prefixed(w, "_orig_mod."), "module.")}, "acc": 93.1},
        {},
        "from teacher, its 'net', its 'model', without the prefix 'module.', without the prefix "
        "'_orig_mod.'",
    ),
    "of PyTorch before 0.4.1": (without_counters, {}, "from teacher"),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_weights_are_the_same_teacher_in_any_form(form, tmp_path):
    weights = weights_of()
    save_file(weights, tmp_path / "t.safetensors")
    expected = TeacherFile(path=str(tmp_path / "t.safetensors"), network=SMALL).obtain(
        TASK, tmp_path
    )
    make, how, origin = FORMS[form]
    teacher = saved(
        tmp_path / "teacher", make(weights), **how
    )  # by content: a name without an ending does
    teacher.check(TASK)
    found = teacher.obtain(TASK, tmp_path)
    assert (found.digest, found.origin) == (expected.digest, origin)


def test_a_safetensors_file_is_told_by_its_header(tmp_path):
    """One whose first two bytes are those of a pickle: its header is 640 bytes long."""
    save_file({"weight": torch.zeros(2)}, tmp_path / "t", {"note": "x" * 550})
    assert (tmp_path / "t").read_bytes()[:2] == b"\x80\x02"
    with pytest.raises(ValueError, match="does not hold a SmallResNet"):
        TeacherFile(path=str(tmp_path / "t"), network=SMALL).obtain(TASK, tmp_path)


# ---- what is refused


class Evil:
    """Makes a folder where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def cut_off(path: Path) -> TeacherFile:
    teacher = written(path)
    path.write_bytes(path.read_bytes()[:-100])
    return teacher


def cut_off_zip(path: Path) -> TeacherFile:
    teacher = saved(path, weights_of())
    path.write_bytes(path.read_bytes()[:-100])
    return teacher


def holding(content: bytes) -> Callable[[Path], TeacherFile]:
    def make(path: Path) -> TeacherFile:
        path.write_bytes(content)
        return TeacherFile(path=str(path), network=SMALL)

    return make


def folder(path: Path) -> TeacherFile:
    path.mkdir()
    return TeacherFile(path=str(path), network=SMALL)


def torchscript(path: Path) -> TeacherFile:
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), str(path))
    return TeacherFile(path=str(path), network=SMALL)


def not_finite(path: Path) -> TeacherFile:
    return saved(path, {name: value * torch.nan for name, value in weights_of().items()})


UNFIT: dict[str, tuple[Callable[[Path], TeacherFile], str]] = {
    "missing": (
        lambda path: TeacherFile(path=str(path), network=SMALL),
        "does not exist: name a .safetensors file",
    ),
    "a folder": (folder, "does not exist: name a .safetensors file"),
    "empty": (holding(b""), "is neither safetensors nor a readable state dict"),
    "cut off": (cut_off, "is no readable safetensors file"),
    "a zip cut off": (cut_off_zip, "is neither safetensors nor a readable state dict"),
    "of another format": (
        holding(b"\x89PNG\r\n\x1a\n" + bytes(100)),
        "is neither safetensors nor a readable",
    ),
    "a program": (torchscript, "is neither safetensors nor a readable state dict"),
    "code": (
        lambda path: saved(path, {"state_dict": Evil(path.parent / "owned")}),
        "mkdir, and reading such a file",
    ),
    "a bare pickle": (
        lambda path: holding(pickle.dumps(Evil(path.parent / "owned")))(path),
        "is neither safetensors nor a readable state dict",
    ),
    "a whole module": (
        lambda path: saved(path, nn.Linear(2, 2)),
        "a pickled object of torch.nn.modules.linear.Linear",
    ),
    "a tensor": (
        lambda path: saved(path, torch.zeros(3)),
        "holds a Tensor, where a state dict was expected",
    ),
    "a checkpoint without one": (
        lambda path: saved(path, {"epoch": 3, "optimizer": {}}),
        "holds a dict with 'epoch', 'optimizer', where a state dict was expected",
    ),
    "sparse": (
        lambda path: saved(path, {"0.weight": torch.eye(3).to_sparse()}),
        "holds a dict with '0.weight', where",
    ),
    "not finite": (not_finite, "answers with numbers that are not finite"),
    "for other classes": (
        lambda path: written(path, classes=7),
        "is for 7 classes where the task has 10: 8.",
    ),
    "for other channels": (
        lambda path: written(path, channels=3),
        "is for another network: 0.weight must have shape",
    ),
    "of another width": (
        lambda path: replace(written(path, SmallResNet(width=16)), network=SMALL),
        "is for another network: 0.weight must have shape (8, 1, 3, 3), but got (16, 1, 3, 3)",
    ),
    "of another width for other classes": (
        lambda path: replace(written(path, SmallResNet(width=16), classes=7), network=SMALL),
        "is for another network: 0.weight must have shape (8, 1, 3, 3), but got (16, 1, 3, 3)",
    ),
    "of another network": (
        lambda path: replace(written(path, SmallResNet(width=8, norm="group")), network=SMALL),
        "does not hold a SmallResNet(width=8, stem_stride=2, norm='batch'): ",
    ),
}


@pytest.mark.parametrize("what", UNFIT)
def test_a_file_that_cannot_serve_is_refused_in_one_line(what, tmp_path):
    make, message = UNFIT[what]
    teacher = make(tmp_path / "t.pt")
    before = everything(tmp_path)
    with pytest.raises(ValueError) as raised:
        teacher.check(TASK)
    text = str(raised.value)
    assert text.startswith(f"the teacher file {tmp_path / 't.pt'} ") and message in text
    assert "\n" not in text
    assert (
        everything(tmp_path) == before
    )  # nothing was written, and nothing in the file was executed


# ---- torchvision's weights


@dataclass(frozen=True, kw_only=True)
class Photographs:
    """Not a task to learn from: what ImageNet's teachers are checked against."""

    classes: int = 1000
    image_shape: tuple[int, int, int] = (64, 64, 3)
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    version: ClassVar[int] = 1


SHUFFLENET = Torchvision(name="shufflenet_v2_x0_5")
PUBLISHED = TorchvisionWeights(network=SHUFFLENET, weights="IMAGENET1K_V1")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """PyTorch's cache, in which a file of ours lies under the name of the published one."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "hub" / "checkpoints" / "shufflenetv2_x0.5-f707e7126e.pth"
    path.parent.mkdir(parents=True)
    torch.save(SHUFFLENET.build(1000, 3).state_dict(), path)
    return path


def test_torchvisions_weights_are_a_teacher_as_a_file_of_them_is(cache):
    PUBLISHED.check(Photographs())
    found = PUBLISHED.obtain(Photographs(), cache.parent)
    assert (
        found.digest
        == TeacherFile(path=str(cache), network=SHUFFLENET)
        .obtain(Photographs(), cache.parent)
        .digest
    )
    assert (
        replace(PUBLISHED, weights="DEFAULT") == PUBLISHED
    )  # another default one day is another teacher
    assert found.origin == (
        "torchvision's shufflenet_v2_x0_5 with IMAGENET1K_V1, made for images of 224x224 with mean "
        "(0.485, 0.456, 0.406) and std (0.229, 0.224, 0.225), but the task has images of 64x64"
    )


def test_another_normalisation_than_torchvisions_is_said(cache):
    as_made = Photographs(image_shape=(224, 224, 3))
    assert PUBLISHED.obtain(as_made, cache.parent).origin.endswith(", as the task has them")
    other = replace(as_made, mean=(0.5, 0.5, 0.5))
    assert (
        "but the task has mean (0.5, 0.5, 0.5) and std"
        in PUBLISHED.obtain(other, cache.parent).origin
    )


@pytest.mark.parametrize("change", [{"classes": 10}, {"image_shape": (64, 64, 1)}])
def test_torchvisions_weights_know_their_classes_and_channels(cache, change):
    with pytest.raises(
        ValueError,
        match=r"knows 1000 classes in images of 3 channels, but the task has \d+ in images",
    ):
        PUBLISHED.check(replace(Photographs(), **change))


def test_a_damaged_cache_is_one_line(cache):
    cache.write_bytes(b"half a file")
    with pytest.raises(
        ValueError, match=r"can neither be read from PyTorch's cache nor be downloaded .*TORCH_HOME"
    ):
        PUBLISHED.check(Photographs())


@pytest.mark.parametrize(
    ("name", "weights"), [("resnet18", "IMAGENET22K"), ("googlenet", "IMAGENET1K_V1")]
)
def test_weights_that_there_are_not_are_refused(name, weights):
    with pytest.raises(
        ValueError, match=f"weights of {name} must be .*, but got self.weights='{weights}'"
    ):
        TorchvisionWeights(network=Torchvision(name=name), weights=weights)


# ---- the user's own module


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
    found = teacher.obtain(TASK, tmp_path)
    images = TASK.validation().images
    assert (predict(found.build(TASK), images, TASK) == predict(module, images, TASK)).all()
    with torch.no_grad():
        module.head.weight.zero_()  # what is done to the module later is not done to the teacher
    assert teacher.obtain(TASK, tmp_path).digest == found.digest
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
        assert again.obtain(TASK, Path()).digest == teacher.obtain(TASK, Path()).digest
        found = pickle.loads(way.dumps(teacher.obtain(TASK, Path())))
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
