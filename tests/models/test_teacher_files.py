"""Teachers from files: what is read, from which formats, and what is refused unexecuted."""

import gzip
import os
import pickle
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from dfkd.data.tasks import Digits
from dfkd.models.networks import SmallResNet
from dfkd.models.teachers import (
    SupervisedTeacher,
    TeacherFile,
    TrainedNetwork,
    predict,
    weights_digest,
)
from dfkd.storage import FolderStorage

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
    trained = SupervisedTeacher(network=SMALL, steps=3, batch=8).obtain(
        TASK, FolderStorage(tmp_path)
    )
    [path] = tmp_path.rglob("teacher.safetensors")
    moved = tmp_path / "moved.safetensors"
    moved.write_bytes(path.read_bytes())
    from_file = TeacherFile(path=str(moved), network=SMALL).obtain(TASK, FolderStorage(tmp_path))
    assert from_file.digest == trained.digest
    images = TASK.validation().images
    assert (
        predict(from_file.build(TASK), images, TASK) == predict(trained.build(TASK), images, TASK)
    ).all()


def test_the_digest_is_of_the_weights_and_of_what_they_are_the_weights_of(tmp_path):
    teacher = written(tmp_path / "t.safetensors")
    weights = teacher.obtain(TASK, FolderStorage(tmp_path)).weights
    assert weights_digest(dict(reversed(weights.items()))) == weights_digest(weights)
    one_bit = weights | {"0.weight": weights["0.weight"].nextafter(torch.tensor(9.0))}
    other_type = {name: value.double() for name, value in weights.items()}
    renamed = {f"x{name}": value for name, value in weights.items()}
    assert len({weights_digest(w) for w in (weights, one_bit, other_type, renamed)}) == 4
    # the same weights answer otherwise with another stride: scores must not be found under one name
    stride = replace(teacher, network=SmallResNet(width=8, stem_stride=1))
    assert (
        stride.obtain(TASK, FolderStorage(tmp_path)).digest
        != teacher.obtain(TASK, FolderStorage(tmp_path)).digest
    )


def test_a_file_that_serves_passes_the_check(tmp_path):
    teacher = written(tmp_path / "t.safetensors")
    teacher.check(TASK)
    assert isinstance(teacher.obtain(TASK, FolderStorage(tmp_path)), TrainedNetwork)


def prefixed(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}{name}": value for name, value in weights.items()}


def within(weights: dict[str, Tensor], wrapper: str) -> dict[str, Tensor]:
    """As if the layers of the network had been wrapped, each by itself, but for the first."""
    return {
        name if name.startswith("0.") else name.replace(".", wrapper, 1): value
        for name, value in weights.items()
    }


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
    "of compiled layers": (
        lambda w: within(w, "._orig_mod."),
        {},
        "from teacher, without the names of wrapped layers",
    ),
    "of DataParallel within": (
        lambda w: prefixed(within(w, ".module."), "model."),
        {},
        "from teacher, without the names of wrapped layers, without the prefix 'model.'",
    ),
    "of checkpointed layers": (
        lambda w: within(w, "._fsdp_wrapped_module._checkpoint_wrapped_module."),
        {},
        "from teacher, without the names of wrapped layers",
    ),
    "with an epoch beside": (
        lambda w: {**w, "epoch": 3, "0._extra_state": None},
        {},
        "from teacher, without 2 values that are no tensors, such as 'epoch'",
    ),
    "three parts deep": (
        lambda w: {"epoch": 3, "checkpoint": {"model": {"module": w}}},
        {},
        "from teacher, its 'checkpoint', its 'model', its 'module'",
    ),
    "of PyTorch before 0.4.1": (without_counters, {}, "from teacher"),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_weights_are_the_same_teacher_in_any_form(form, tmp_path):
    weights = weights_of()
    save_file(weights, tmp_path / "t.safetensors")
    expected = TeacherFile(path=str(tmp_path / "t.safetensors"), network=SMALL).obtain(
        TASK, FolderStorage(tmp_path)
    )
    make, how, origin = FORMS[form]
    # by content: a name without an ending does
    teacher = saved(tmp_path / "teacher", make(weights), **how)
    teacher.check(TASK)
    found = teacher.obtain(TASK, FolderStorage(tmp_path))
    assert (found.digest, found.origin) == (expected.digest, origin)


def test_a_safetensors_file_is_told_by_its_header(tmp_path):
    """One whose first two bytes are those of a pickle: its header is 640 bytes long."""
    save_file({"weight": torch.zeros(2)}, tmp_path / "t", {"note": "x" * 550})
    assert (tmp_path / "t").read_bytes()[:2] == b"\x80\x02"
    with pytest.raises(ValueError, match="does not hold a SmallResNet"):
        TeacherFile(path=str(tmp_path / "t"), network=SMALL).obtain(TASK, FolderStorage(tmp_path))


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


def quantised() -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch moves such tensors to another project
        return torch.quantize_per_tensor(torch.eye(3), 0.1, 0, torch.qint8)


UNFIT: dict[str, tuple[Callable[[Path], TeacherFile], str]] = {
    "missing": (
        lambda path: TeacherFile(path=str(path), network=SMALL),
        "does not exist: name a .safetensors file",
    ),
    "a folder": (folder, "is no file, but a folder or a pipe: name a .safetensors file"),
    "packed": (holding(gzip.compress(b"weights")), "is a gzip archive: unpack it, and name what"),
    "quantised": (
        lambda path: saved(path, {name: w.to(torch.int8) for name, w in weights_of().items()}),
        "has torch.int8 in '0.weight', where real numbers were expected",
    ),
    "complex": (
        lambda path: saved(path, {name: w.to(torch.complex64) for name, w in weights_of().items()}),
        "has torch.complex64 in '0.weight'",
    ),
    "empty": (holding(b""), "is neither safetensors nor a readable state dict"),
    "cut off": (cut_off, "is no readable safetensors file"),
    "a zip cut off": (cut_off_zip, "is neither safetensors nor a readable state dict"),
    "of another format": (
        holding(b"\x89PNG\r\n\x1a\n" + bytes(100)),
        "is neither safetensors nor a readable",
    ),
    "a program": (torchscript, "is a program of TorchScript, and reading it can run any code"),
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
        "has a tensor of layout torch.sparse_coo in '0.weight', where a plain tensor was expected: "
        "save a dense one in its place",
    ),
    "sparse in a checkpoint": (
        lambda path: saved(path, {"net": {"b": torch.eye(3).to_sparse_csr()}, "epoch": 3}),
        "has a tensor of layout torch.sparse_csr in 'b'",
    ),
    "without values": (
        lambda path: saved(path, {name: w.to("meta") for name, w in weights_of().items()}),
        "has no values, only a shape, in '0.weight', where a plain tensor was expected: load the",
    ),
    "in quantised tensors": (
        lambda path: saved(path, {"a": torch.zeros(3), "0.weight": quantised()}),
        "has quantised numbers in '0.weight', where a plain tensor was expected: save value.deq",
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
    # nothing was written, and nothing in the file was executed
    assert everything(tmp_path) == before
