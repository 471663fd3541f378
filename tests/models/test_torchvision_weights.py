"""Torchvision's published weights as teachers: read from a cache, and refused in one line."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from dfkd.data.tasks import Digits
from dfkd.models.networks import Torchvision
from dfkd.models.teachers import TeacherFile, TorchvisionWeights
from dfkd.storage import FolderStorage

TASK = Digits()


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
    found = PUBLISHED.obtain(Photographs(), FolderStorage(cache.parent))
    assert (
        found.digest
        == TeacherFile(path=str(cache), network=SHUFFLENET)
        .obtain(Photographs(), FolderStorage(cache.parent))
        .digest
    )
    # another default one day is another teacher
    assert replace(PUBLISHED, weights="DEFAULT") == PUBLISHED
    assert found.origin == (
        "torchvision's shufflenet_v2_x0_5 with IMAGENET1K_V1, made for images of 224x224 with mean "
        "(0.485, 0.456, 0.406) and std (0.229, 0.224, 0.225), but the task has images of 64x64"
    )


def test_another_normalisation_than_torchvisions_is_said(cache):
    as_made = Photographs(image_shape=(224, 224, 3))
    assert PUBLISHED.obtain(as_made, FolderStorage(cache.parent)).origin.endswith(
        ", as the task has them"
    )
    other = replace(as_made, mean=(0.5, 0.5, 0.5))
    assert (
        "but the task has mean (0.5, 0.5, 0.5) and std"
        in PUBLISHED.obtain(other, FolderStorage(cache.parent)).origin
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
        ValueError, match=f"weights of {name} must be .*, but got weights='{weights}'"
    ):
        TorchvisionWeights(network=Torchvision(name=name), weights=weights)
