"""The digits, and CIFAR from its files."""

import hashlib

import numpy as np
import pytest
from cifar_files import write_cifar
from PIL import Image

from dfkd.data.tasks import Cifar10, Cifar100, Digits, Split

FROZEN = {  # a changed split is another task: raise `Digits.version`
    "train": "3084d13e4b68b644fe9d7db9f629a18152675e7c87bbf12831fdfa52368f30c8",
    "validation": "ce640ddcab29e8b81ca52e82fbef02880a8cbf67e44c15f0a6eec23b8d181a8a",
    "test": "fea3d2d2f26ce7919c7d70e6edf6fa4a69d8dac073fbb3419e72ec98f08d88f5",
}


def test_mean_and_std_are_those_of_the_training_images():
    task = Digits()
    scaled = task.train().images / 255
    assert task.mean == pytest.approx(scaled.mean((0, 1, 2)), abs=5e-5)
    assert task.std == pytest.approx(scaled.std((0, 1, 2)), abs=5e-5)


def test_digits_are_split_as_documented_and_for_ever():
    digits = Digits()
    splits = {"train": digits.train(), "validation": digits.validation(), "test": digits.test()}
    assert {name: len(split) for name, split in splits.items()} == {
        "train": 897,
        "validation": 300,
        "test": 600,
    }
    assert {name: digest(split) for name, split in splits.items()} == FROZEN


def test_digits_are_stratified():
    splits = (Digits().train(), Digits().validation(), Digits().test())
    counts = np.array([np.bincount(split.labels, minlength=10) for split in splits])
    proportional = counts.sum(0) * counts.sum(1, keepdims=True) / counts.sum()
    assert np.abs(counts - proportional).max() <= 1


def test_every_digit_is_in_exactly_one_split():
    from sklearn.datasets import load_digits

    splits = (Digits().train(), Digits().validation(), Digits().test())
    images = np.concatenate([split.images for split in splits])
    assert len(images) == len(np.unique(images, axis=0)) == len(load_digits().target)


def test_digits_are_resized_as_pillow_does_it():
    from sklearn.datasets import load_digits

    source = np.rint(load_digits().images * 255 / 16).astype(np.uint8)
    resized = [
        np.asarray(Image.fromarray(i).resize((16, 16), Image.Resampling.BILINEAR)) for i in source
    ]
    theirs = np.stack(resized).reshape(-1, 256).astype(np.float32)
    ours = Digits().test().images[:50].reshape(-1, 1, 256).astype(np.float32)
    # each has its twin, but for Pillow's two roundings
    assert np.abs(ours - theirs).max(2).min(1).max() <= 2


def test_the_order_within_a_split_is_not_periodic():
    labels = Digits().train().labels
    assert all(len(set(labels[start::10])) > 5 for start in range(10))


def test_a_split_refuses_other_types_and_lengths():
    images, labels = np.zeros((2, 4, 4, 1), np.uint8), np.zeros(2, np.int64)
    with pytest.raises(ValueError, match=r"images must be uint8 .* but got float64"):
        Split(images.astype(float), labels)
    with pytest.raises(
        ValueError, match=r"labels must be int64 of shape \(2,\).* but got int64 of shape \(3,\)"
    ):
        Split(images, np.zeros(3, np.int64))


def digest(split: Split) -> str:
    return hashlib.sha256(split.images.tobytes() + split.labels.astype("<i8").tobytes()).hexdigest()


def test_cifar_is_read_as_it_was_written(tmp_path):
    images, labels = write_cifar(tmp_path, Cifar100, records=100)
    read = Cifar100(path=str(tmp_path)).train()
    assert np.array_equal(read.images, images) and np.array_equal(read.labels, labels)


def test_cifar_has_no_validation_split(tmp_path):
    assert Cifar10(path=str(tmp_path)).validation() is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no file"),
        (b"", "is it cut off"),
        (bytes(3000), "cut off"),
        (bytes([10]) + bytes(3072), "labels below 10"),
    ],
)
def test_a_bad_cifar_file_is_one_line(tmp_path, content, message):
    if content is not None:
        (tmp_path / "test_batch.bin").write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        Cifar10(path=str(tmp_path)).test()
    assert "\n" not in str(error.value)
