"""Teachers from files: what is read, and from which formats."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from teacher_files import SMALL, TASK, saved, weights_of, written
from torch import Tensor

from dfkd.models.networks import SmallResNet
from dfkd.models.teachers import (
    SupervisedTeacher,
    TeacherFile,
    TrainedNetwork,
    predict,
    weights_digest,
)
from dfkd.storage import FolderStorage

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
