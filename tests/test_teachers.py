"""Teachers: made once, found by content, and refused in one line where they cannot serve."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from dfkd.data.tasks import Digits
from dfkd.models.networks import SmallResNet
from dfkd.models.teachers import SupervisedTeacher, TeacherFile, TrainedNetwork, accuracy, predict, weights_digest

TASK = Digits()
SMALL = SmallResNet(width=8, stem_stride=2)
QUICK = SupervisedTeacher(network=SMALL, steps=3, batch=8)


def written(path: Path, network: SmallResNet = SMALL, classes: int = 10, channels: int = 1) -> TeacherFile:
    weights = network.build(classes, channels).state_dict()
    save_file({name: value.contiguous() for name, value in weights.items()}, path)
    return TeacherFile(path=str(path), network=network)


def everything(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


# ---- trained here


def test_a_teacher_learns(source):
    module = source.teacher.build(TASK)
    assert accuracy(module, TASK.validation(), TASK) > 0.6  # 30 steps; a guess is .1
    assert not module.training


def test_a_teacher_is_trained_once(tmp_path, monkeypatch):
    first = QUICK.obtain(TASK, tmp_path)
    before = everything(tmp_path)
    monkeypatch.setattr(SupervisedTeacher, "_train", None)  # to train again would fail
    assert QUICK.obtain(TASK, tmp_path).digest == first.digest
    assert everything(tmp_path) == before


def test_the_same_teacher_in_another_storage_and_another_with_another_seed(tmp_path):
    one, again = (QUICK.obtain(TASK, tmp_path / name) for name in "ab")
    assert one.digest == again.digest
    assert all(one.weights[name].equal(again.weights[name]) for name in one.weights)
    others = [QUICK.obtain(TASK, tmp_path / "a", seed=1), replace(QUICK, steps=4).obtain(TASK, tmp_path / "a")]
    assert len({one.digest, *(other.digest for other in others)}) == 3


def test_an_interrupted_teacher_is_trained_again(tmp_path):
    first = QUICK.obtain(TASK, tmp_path)
    [configuration] = tmp_path.rglob("teacher.json")
    configuration.unlink()  # it is written last
    (configuration.parent / "teacher.safetensors").write_bytes(b"half")
    assert QUICK.obtain(TASK, tmp_path).digest == first.digest


def test_its_configuration_lies_beside_it(tmp_path):
    QUICK.obtain(TASK, tmp_path, seed=5)
    [configuration] = tmp_path.rglob("teacher.json")
    kept = json.loads(configuration.read_text())
    assert (kept["teacher"]["steps"], kept["task"]["piece"], kept["seed"]) == (3, "digits", 5)


def test_the_global_random_state_neither_matters_nor_moves(tmp_path):
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 - to show that nothing listens to it
    before = torch.random.get_rng_state()
    one = QUICK.obtain(TASK, tmp_path / "a")
    torch.manual_seed(1)
    assert torch.random.get_rng_state().equal(before)
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002
    assert QUICK.obtain(TASK, tmp_path / "b").digest == one.digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "1 step and a batch of 2"),
        ({"batch": 1}, "1 step and a batch of 2"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"learning_rate": math.inf}, "learning_rate must be above 0"),
        ({"weight_decay": -1.0}, "weight_decay 0 or more"),
        ({"shift": -1}, "shift must be 0 pixels or more"),
        ({"smoothing": 1.0}, r"smoothing lie in \[0, 1\)"),
    ],
)
def test_impossible_trainings_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(QUICK, **change)


# ---- files


def test_a_file_is_the_teacher_whose_weights_it_holds(tmp_path):
    trained = QUICK.obtain(TASK, tmp_path)
    [path] = tmp_path.rglob("teacher.safetensors")
    moved = tmp_path / "moved.safetensors"
    moved.write_bytes(path.read_bytes())
    from_file = TeacherFile(path=str(moved), network=SMALL).obtain(TASK, tmp_path)
    assert from_file.digest == trained.digest
    images = TASK.validation().images
    assert (predict(from_file.build(TASK), images, TASK) == predict(trained.build(TASK), images, TASK)).all()


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


def corrupt(path: Path) -> TeacherFile:
    teacher = written(path)
    path.write_bytes(path.read_bytes()[:-100])
    return teacher


def foreign(path: Path) -> TeacherFile:
    torch.save(SMALL.build(10, 1).state_dict(), path)
    return TeacherFile(path=str(path), network=SMALL)


def empty(path: Path) -> TeacherFile:
    path.touch()
    return TeacherFile(path=str(path), network=SMALL)


def folder(path: Path) -> TeacherFile:
    path.mkdir()
    return TeacherFile(path=str(path), network=SMALL)


UNFIT = {
    "missing": (lambda path: TeacherFile(path=str(path), network=SMALL), "does not exist: name a .safetensors file"),
    "a folder": (folder, "does not exist: name a .safetensors file"),
    "empty": (empty, "no readable safetensors file"),
    "cut off": (corrupt, "no readable safetensors file"),
    "of another format": (foreign, "no readable safetensors file"),
    "for other classes": (lambda path: written(path, classes=7), "is for 7 classes where the task has 10: 8."),
    "for other channels": (lambda path: written(path, channels=3), "is for another network: 0.weight must have shape"),
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
@pytest.mark.parametrize("call", ["check", "obtain"])
def test_a_file_that_cannot_serve_is_refused_in_one_line(what, call, tmp_path):
    make, message = UNFIT[what]
    teacher = make(tmp_path / "t.safetensors")
    before = everything(tmp_path)
    with pytest.raises(ValueError) as raised:
        teacher.check(TASK) if call == "check" else teacher.obtain(TASK, tmp_path)
    text = str(raised.value)
    assert text.startswith(f"the teacher file {tmp_path / 't.safetensors'} ") and message in text
    assert "\n" not in text
    assert everything(tmp_path) == before


# ---- answers


def test_predictions_do_not_depend_on_how_images_are_grouped(source):
    module, images = source.teacher.build(TASK), np.concatenate([TASK.train().images, TASK.validation().images])
    assert len(images) > 2 * 512
    parts = [predict(module, images[start : start + 100], TASK) for start in range(0, len(images), 100)]
    assert (predict(module, images, TASK) == np.concatenate(parts)).all()


def test_accuracy_is_the_share_of_right_answers(source):
    module, split = source.teacher.build(TASK), TASK.validation()
    right = sum(int(a == b) for a, b in zip(predict(module, split.images, TASK), split.labels, strict=True))
    assert accuracy(module, split, TASK) == right / 300
