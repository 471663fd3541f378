"""Teachers from files: what is refused, unexecuted."""

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
from teacher_files import SMALL, TASK, everything, saved, weights_of, written
from torch import nn

from dfkd.models.networks import SmallResNet
from dfkd.models.teachers import TeacherFile


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
