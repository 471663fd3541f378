"""Files that hold more than a teacher's weights: averaged copies, criteria, auxiliary heads."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision import models

from dfkd.data.tasks import Digits
from dfkd.export.standalone import assembled
from dfkd.identity import spec
from dfkd.models.networks import SmallResNet, Torchvision, load_weights
from dfkd.models.teachers import TeacherFile, TrainedNetwork
from dfkd.models.teachers.matching import matched
from dfkd.storage import FolderStorage

TASK = Digits()
SMALL = SmallResNet(width=8, stem_stride=2)
Weights = dict[str, Tensor]


def weights(seed: int) -> Weights:
    torch.manual_seed(seed)
    return {name: value.contiguous() for name, value in SMALL.build(10, 1).state_dict().items()}


RAW, MEAN = weights(0), weights(1)


def below(prefix: str, of: Weights) -> Weights:
    return {f"{prefix}{name}": value for name, value in of.items()}


def obtained(tmp_path, content: Any, inside: str = "") -> TrainedNetwork:
    torch.save(content, tmp_path / "t.pt")
    teacher = TeacherFile(path=str(tmp_path / "t.pt"), network=SMALL, inside=inside)
    teacher.check(TASK)
    return teacher.obtain(TASK, FolderStorage(tmp_path))


def same(found: TrainedNetwork, expected: Weights) -> bool:
    return found.weights.keys() == expected.keys() and all(
        torch.equal(found.weights[name], expected[name]) for name in expected
    )


# content, what takes the averaged weights, and what is said where the raw ones are taken
AVERAGED: dict[str, tuple[Any, str, str]] = {
    "torchvision's references": (
        {"model": RAW, "model_ema": {"n_averaged": torch.tensor(3), **below("module.", MEAN)}},
        "model_ema",
        "its 'model', not its 'model_ema' (inside='model_ema' takes it)",
    ),
    "timm": (
        {"epoch": 3, "state_dict": RAW, "state_dict_ema": MEAN, "optimizer": {"state": {}}},
        "state_dict_ema",
        "its 'state_dict', not its 'state_dict_ema' (inside='state_dict_ema' takes it)",
    ),
    "nested": (
        {"state_dict": {"net": RAW, "ema": MEAN}},
        "ema",
        "its 'state_dict', its 'net', not its 'ema' (inside='ema' takes it)",
    ),
    "Lightning": (
        {"state_dict": below("net.", RAW) | below("ema.module.", MEAN)},
        "ema.module",
        "without the prefix 'net.', not the copy in 'ema.module' (inside='ema.module' takes it)",
    ),
    "flat, beside names without a prefix": (
        RAW | below("ema_model.", MEAN),
        "ema_model",
        "not the copy in 'ema_model' (inside='ema_model' takes it)",
    ),
}


@pytest.mark.parametrize("form", AVERAGED)
def test_raw_weights_are_taken_averaged_ones_on_request_and_both_are_named(form, tmp_path):
    content, inside, said = AVERAGED[form]
    raw = obtained(tmp_path, content)
    assert same(raw, RAW) and said in raw.origin
    assert same(obtained(tmp_path, content, inside), MEAN)


BESIDE: dict[str, Callable[[], Weights]] = {
    "a criterion": lambda: below("net.", RAW) | {"criterion.weight": torch.ones(10)},
    "metrics, without a prefix": lambda: RAW | {"train_acc.tp": torch.ones(1)},
    "a projector and a centre": lambda: (
        below("module.net.", RAW)
        | {"module.projector.0.weight": torch.ones(2, 2), "centre": RAW["0.weight"]}
    ),
    "averaged alone": lambda: below("module.", RAW) | {"n_averaged": torch.tensor(3)},
    "a criterion below the prefix": lambda: below(
        "model.", RAW | {"ce_loss.weight": torch.ones(9)}
    ),
    "only an averaged copy": lambda: below("ema.", RAW) | {"ema_steps": torch.tensor(3)},
}


@pytest.mark.parametrize("form", BESIDE)
def test_names_beside_the_networks_own_are_left_out_and_said(form, tmp_path):
    found = obtained(tmp_path, {"state_dict": BESIDE[form]()})
    assert same(found, RAW)
    assert "names beside it, such as " in found.origin


def deeper() -> Weights:
    return RAW | {"3.conv3.weight": torch.ones(8, 8, 3, 3)}


REFUSED: dict[str, tuple[Any, str, str]] = {
    "a deeper network": (deeper(), "", "1 names differ, such as '3.conv3.weight'"),
    "a layer more": (
        RAW | {"9.weight": torch.ones(3)},
        "",
        "name the network that it is of, such as teacher.",
    ),
    "a network that normalises": (RAW | {"mean": torch.ones(1)}, "", "1 names differ, such as"),
    "two of a rank": (
        below("student.", RAW) | below("teacher.", MEAN),
        "",
        "holds 2 such networks, below 'student.', 'teacher.': name one of them with inside='teach",
    ),
    "two parts without a usual name": (
        {"student": RAW, "teacher": MEAN},
        "",
        "several sets of weights, 'student', 'teacher': choose one with inside='student'",
    ),
    "nothing of that name": (RAW, "ema", "holds nothing called inside='ema', but '0', '1', '3'"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_may_be_another_network_is_refused(what, tmp_path):
    content, inside, message = REFUSED[what]
    with pytest.raises(ValueError) as raised:
        obtained(tmp_path, content, inside)
    assert message in str(raised.value) and "\n" not in str(raised.value)
    assert str(raised.value).startswith(f"the teacher file {tmp_path / 't.pt'} ")


def test_one_of_two_of_a_rank_is_taken_by_name(tmp_path):
    content = below("student.", RAW) | below("teacher.", MEAN)
    assert same(obtained(tmp_path, content, "teacher"), MEAN)
    assert same(obtained(tmp_path, {"student": RAW, "teacher": MEAN}, "student"), RAW)


def test_inside_is_no_identity_where_it_is_left_out():
    teacher = TeacherFile(path="t", network=SMALL)
    assert "inside" not in spec(teacher)
    assert spec(TeacherFile(path="t", network=SMALL, inside="ema"))["inside"] == "ema"


@pytest.mark.parametrize("name", ["inception_v3", "googlenet"])
def test_auxiliary_heads_are_left_out(name):
    with torch.device("meta"):
        theirs = models.get_model(name, num_classes=7, aux_logits=True, init_weights=False)
        shapes = {
            n: tuple(v.shape) for n, v in Torchvision(name=name).build(7, 3).state_dict().items()
        }
    found, said = matched(theirs.state_dict(), shapes)
    assert found.keys() == shapes.keys()
    assert "names beside it, such as" in said[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 99\n",
            "is a git-lfs pointer, not the weights: run git lfs pull",
        ),
        (b"<!DOCTYPE html>\n<html>", "is a web page: the download failed; fetch it again"),
    ],
)
def test_what_stands_in_the_place_of_the_weights_is_named(content, message, tmp_path):
    (tmp_path / "t.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        TeacherFile(path=str(tmp_path / "t.safetensors"), network=SMALL).check(TASK)


class Versioned(nn.Module):
    """Refuses weights that do not say of which version of it they are, as MNASNet does."""

    _version = 2

    def _load_from_state_dict(self, state: Any, prefix: str, local: Any, *others: Any) -> None:
        if local.get("version") != 2:
            raise ValueError("version should be 2")
        super()._load_from_state_dict(state, prefix, local, *others)


def test_weights_from_a_file_are_those_of_the_layers_as_they_are_now(tmp_path):
    module = nn.Sequential(Versioned(), nn.Linear(2, 2))
    save_file(dict(module.state_dict()), tmp_path / "w")
    load_weights(module, load_file(tmp_path / "w"))
    for wrong in ({"1.weight": torch.ones(2, 2)}, dict(module.state_dict()) | {"2": torch.ones(1)}):
        with pytest.raises(RuntimeError, match=r"Missing key|Unexpected key"):
            load_weights(module, wrong)


def test_mnasnet_can_be_handed_over(tmp_path):
    network = Torchvision(name="mnasnet0_5")
    save_file(dict(network.build(4, 3).state_dict()), tmp_path / "w")
    student = assembled(network, 4, (0.5,) * 3, (0.2,) * 3, load_file(tmp_path / "w"))
    assert student(torch.zeros(1, 3, 32, 32)).shape == (1, 4)
