"""Tasks from folders: the splits that there are, with torchvision's pixels, known by content."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from image_trees import CLASSES, labelled, write_tree
from PIL import Image
from torchvision import transforms
from torchvision.datasets import ImageFolder

from dfkd.data.tasks import ImageNetFolder, NoSplit, Unlabelled
from dfkd.data.tasks.labelled_files import files_in, statistics
from dfkd.identity import digest, spec

pytestmark = pytest.mark.usefixtures("cache")


def identity(task) -> str:
    return digest(spec(task))


# ---- what is read


def test_images_and_labels_are_torchvisions(root):
    found = labelled(root)
    assert found.classes == 3 and found.class_names == CLASSES
    for name, split in (
        ("train", found.train()),
        ("val", found.validation()),
        ("test", found.test()),
    ):
        theirs = ImageFolder(str(root / name))
        assert split.labels.tolist() == theirs.targets
        # it makes three equal channels of one
        pixels = np.stack([np.asarray(image)[..., :1] for image, _ in theirs])
        assert np.array_equal(split.images, pixels)


@pytest.mark.parametrize("size", [(50, 40), (40, 50), (33, 33), (301, 20)])
def test_resized_and_cut_out_as_torchvision_does_it(tmp_path, size):
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    for name in "ab":
        (tmp_path / "test" / name).mkdir(parents=True)
        image.save(tmp_path / "test" / name / "one.png")
    known = {"mean": (0.5,) * 3, "std": (0.2,) * 3}
    ours = labelled(tmp_path, image_shape=(28, 24, 3), shorter_side=32, **known).test().images[0]
    theirs = transforms.Compose([transforms.Resize(32), transforms.CenterCrop((28, 24))])(image)
    assert np.array_equal(ours, np.asarray(theirs))
    whole = labelled(tmp_path, image_shape=(28, 24, 3), **known).test().images[0]
    assert np.array_equal(whole, np.asarray(image.resize((24, 28), Image.Resampling.BILINEAR)))


def test_mean_and_std_are_found_in_train_where_they_are_not_given(root):
    found = labelled(root, mean=(), std=())
    scaled = found.train().images / 255
    assert found.mean == pytest.approx(scaled.mean((0, 1, 2)), abs=5e-5)
    assert found.std == pytest.approx(scaled.std((0, 1, 2)), abs=5e-5)
    assert identity(found) == identity(labelled(root, mean=found.mean, std=found.std))


def test_statistics_of_several_channels_are_those_of_numpy():
    images = np.random.default_rng(0).integers(0, 256, (1500, 2, 3, 3), dtype=np.uint8)
    images[..., 1] //= 2
    mean, std = statistics(images)
    assert mean == pytest.approx((images / 255).mean((0, 1, 2)), abs=5e-5)
    assert std == pytest.approx((images / 255).std((0, 1, 2)), abs=5e-5)


def test_what_stands_beside_images_is_left_alone(root):
    before = labelled(root)
    (root / "val" / ".ipynb_checkpoints").mkdir()
    (root / "val" / "cat" / "labels.txt").write_text("cat")
    (root / "val" / "cat" / "Thumbs.db").write_bytes(b"x")
    assert identity(labelled(root)) == identity(before)


def test_images_in_subfolders_of_a_class_belong_to_it(root):
    """As in Tiny-ImageNet."""
    before = labelled(root).train()
    for name in CLASSES:
        (root / "train" / name / "images").mkdir()
        for file in (root / "train" / name).glob("*.png"):
            file.rename(root / "train" / name / "images" / file.name)
    assert np.array_equal(labelled(root).train().images, before.images)


# ---- identity


def test_a_folder_is_known_by_content_wherever_it_lies(root, tmp_path):
    before = labelled(root)
    shutil.copytree(root, tmp_path / "copied")  # other times of change, too
    assert identity(labelled(tmp_path / "copied")) == identity(before)
    os.rename(root / "val", root / "validation")  # another name for the same split
    assert identity(labelled(root)) == identity(before)


@pytest.mark.parametrize("change", ["a pixel", "a label", "a file less", "a split less"])
def test_what_changes_the_images_or_labels_changes_the_identity(root, change):
    before = labelled(root)
    file = root / "test" / "dog" / "001.png"
    if change == "a pixel":
        pixels = np.asarray(Image.open(file)).copy()
        pixels[0, 0] ^= 1
        Image.fromarray(pixels).save(file)
    elif change == "a label":
        file.rename(root / "test" / "cat" / "x.png")
    elif change == "a file less":
        file.unlink()
    else:
        shutil.rmtree(root / "test")
    assert identity(labelled(root)) != identity(before)
    files_in.cache_clear()
    with pytest.raises(
        ValueError, match=r"are not those of this experiment: content is \w+, expected \w+"
    ):
        before.check()


def test_a_finished_task_is_told_without_its_folder(root):
    before = labelled(root)
    shutil.rmtree(root)
    again = labelled(root, classes=before.classes, content=before.content)
    assert again == before and identity(again) == identity(before)
    with pytest.raises(ValueError, match="has none of them"):
        again.check()


# ---- what is refused, and what need not be there


def test_a_split_that_is_absent_is_missed_only_by_who_asks_for_it(root):
    shutil.rmtree(root / "train")
    shutil.rmtree(root / "val")
    found = labelled(root)
    found.check()
    assert found.validation() is None and len(found.test()) == 9
    with pytest.raises(
        NoSplit,
        match="has no train/ with labelled images: add it, or name a teacher that is trained",
    ):
        found.train()
    shutil.rmtree(root / "test")
    write_tree(root / "val", CLASSES)
    found = labelled(root)
    assert len(found.validation()) == 9
    with pytest.raises(NoSplit, match=r"has no test/ .* compare by the probe or by validation"):
        found.test()


def no_splits(root: Path) -> None:
    shutil.rmtree(root)
    write_tree(root, CLASSES)


BAD = {
    "no folder": (shutil.rmtree, {}, "has none of them"),
    "classes without splits": (
        no_splits,
        {},
        "must be a folder with train/, val/ or test/, each with one subfolder",
    ),
    "a class more in one split": (
        lambda root: (root / "val" / "yak").mkdir(),
        {},
        "make it there, with one image or more of that class",
    ),
    "a class spelled in two ways": (
        lambda root: [
            (root / split / "cat").rename(root / split / name)
            for split, name in (
                ("train", "caf\u00e9"),
                ("val", "cafe\u0301"),
                ("test", "caf\u00e9"),
            )
        ],
        {},
        "is spelled in two ways: in ",
    ),
    "images without classes": (
        lambda root: [shutil.rmtree(folder) for folder in root.glob("*/*")],
        {},
        "must have 2 subfolders or more",
    ),
    "a class without images": (
        lambda root: [file.unlink() for file in (root / "val" / "cat").iterdir()],
        {},
        "got none in",
    ),
    "statistics without train": (
        lambda root: shutil.rmtree(root / "train"),
        {"mean": (), "std": ()},
        "must be given where there is no train/",
    ),
    "statistics of other channels": (
        lambda root: None,
        {"mean": (0.5,) * 3, "std": (0.2,) * 3},
        "those of 1 channels",
    ),
    "channels": (
        lambda root: None,
        {"image_shape": (16, 16, 2), "mean": (0.5,) * 2, "std": (0.2,) * 2},
        "1, 3 or 4",
    ),
    "a crop beyond the image": (
        lambda root: None,
        {"shorter_side": 12},
        "so large that image_shape can be cut out",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_folders_are_one_line(case, root):
    spoil, fields, message = BAD[case]
    spoil(root)
    with pytest.raises(ValueError) as raised:
        labelled(root, **fields)
    assert message in str(raised.value) and "\n" not in str(raised.value)


# ---- ImageNet, and a task without images


def test_imagenet_is_a_folder_with_a_thousand_classes(tmp_path):
    names = tuple(f"n{i:08d}" for i in range(1000))
    write_tree(tmp_path / "val", names, each=1, side=12, channels=3)
    found = ImageNetFolder(path=str(tmp_path), image_shape=(8, 8, 3), shorter_side=9)
    found.check()
    found.require("test")
    test = found.test()
    assert test.labels.tolist() == list(range(1000)) and test.images.shape == (1000, 8, 8, 3)
    assert found.validation() is None and found.class_names == names
    with pytest.raises(NoSplit, match="has no train/"):
        found.require("train")
    shutil.rmtree(tmp_path / "val" / names[7])
    with pytest.raises(
        ValueError, match="must have 1000 subfolders, n01440764 and so on, but got 999"
    ):
        found.check()
    assert identity(found) == identity(replace(found, path="elsewhere"))


def test_a_task_without_images_says_so_where_one_is_asked_for():
    found = Unlabelled(classes=10, image_shape=(8, 8, 1), mean=(0.3,), std=(0.3,))
    assert found.validation() is None
    for ask in (found.train, found.test):
        with pytest.raises(NoSplit, match="a task without images was asked for its"):
            ask()
    with pytest.raises(ValueError, match="2 classes or more"):
        replace(found, classes=1)
    with pytest.raises(ValueError, match="std above 0"):
        replace(found, std=(0.0,))
