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
from dfkd.models.teachers import SupervisedTeacher, TeacherFile, accuracy, predict
from dfkd.storage import FolderStorage

TASK = Digits()
SMALL = SmallResNet(width=8, stem_stride=2)
QUICK = SupervisedTeacher(network=SMALL, steps=3, batch=8)


def written(
    path: Path, network: SmallResNet = SMALL, classes: int = 10, channels: int = 1
) -> TeacherFile:
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
    first = QUICK.obtain(TASK, FolderStorage(tmp_path))
    before = everything(tmp_path)
    monkeypatch.setattr(SupervisedTeacher, "_train", None)  # to train again would fail
    assert QUICK.obtain(TASK, FolderStorage(tmp_path)).digest == first.digest
    assert everything(tmp_path) == before


def test_the_same_teacher_in_another_storage_and_another_with_another_seed(tmp_path):
    one, again = (QUICK.obtain(TASK, FolderStorage(tmp_path / name)) for name in "ab")
    assert one.digest == again.digest
    assert all(one.weights[name].equal(again.weights[name]) for name in one.weights)
    others = [
        QUICK.obtain(TASK, FolderStorage(tmp_path / "a"), seed=1),
        replace(QUICK, steps=4).obtain(TASK, FolderStorage(tmp_path / "a")),
    ]
    assert len({one.digest, *(other.digest for other in others)}) == 3


def test_an_interrupted_teacher_is_trained_again(tmp_path):
    first = QUICK.obtain(TASK, FolderStorage(tmp_path))
    [configuration] = tmp_path.rglob("teacher.json")
    configuration.unlink()  # it is written last
    (configuration.parent / "teacher.safetensors").write_bytes(b"half")
    assert QUICK.obtain(TASK, FolderStorage(tmp_path)).digest == first.digest


def test_its_configuration_lies_beside_it(tmp_path):
    QUICK.obtain(TASK, FolderStorage(tmp_path), seed=5)
    [configuration] = tmp_path.rglob("teacher.json")
    kept = json.loads(configuration.read_text())
    assert (kept["teacher"]["steps"], kept["task"]["piece"], kept["seed"]) == (3, "digits", 5)


def test_the_global_random_state_neither_matters_nor_moves(tmp_path):
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 - to show that nothing listens to it
    before = torch.random.get_rng_state()
    one = QUICK.obtain(TASK, FolderStorage(tmp_path / "a"))
    torch.manual_seed(1)
    assert torch.random.get_rng_state().equal(before)
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002
    assert QUICK.obtain(TASK, FolderStorage(tmp_path / "b")).digest == one.digest


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


# ---- answers


def test_predictions_do_not_depend_on_how_images_are_grouped(source):
    module, images = (
        source.teacher.build(TASK),
        np.concatenate([TASK.train().images, TASK.validation().images]),
    )
    assert len(images) > 2 * 512
    parts = [
        predict(module, images[start : start + 100], TASK) for start in range(0, len(images), 100)
    ]
    assert (predict(module, images, TASK) == np.concatenate(parts)).all()


def test_accuracy_is_the_share_of_right_answers(source):
    module, split = source.teacher.build(TASK), TASK.validation()
    right = sum(
        int(a == b) for a, b in zip(predict(module, split.images, TASK), split.labels, strict=True)
    )
    assert accuracy(module, split, TASK) == right / 300
