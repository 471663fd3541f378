"""Tasks from folders: one subfolder per class below train/, val/ and test/.

So torchvision's ImageFolder has them. Images are decoded once, into the user's cache, and mapped
from there. N images, H height, W width, C channels.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from dfkd.data.images.decoded import decoded, remembered
from dfkd.data.tasks.labelled_files import (
    ORDERS,
    class_names,
    files_in,
    in_order,
    numbered,
    statistics,
)
from dfkd.data.tasks.task import BaseTask, NoSplit, Split
from dfkd.data.tasks.unlabelled import check_images
from dfkd.identity import digest, later, location
from dfkd.storage.variables import expanded


class _Folder(BaseTask):
    """What the two have in common."""

    path: str
    image_shape: tuple[int, int, int]
    shorter_side: int
    class_order: str = "name"
    splits: ClassVar[dict[str, tuple[str, ...]]]  # and the names that their folders may have

    def require(self, split: str) -> None:
        """Raise NoSplit if there is no such split."""
        if self._split_folder(split) is None:
            instead = (
                "name a teacher that is trained"
                if split == "train"
                else "compare by the probe or by validation"
            )
            names = "/ or ".join(self.splits[split])
            raise NoSplit(
                f"the task's folder {self.path} has no {names}/ with labelled images: add it, or "
                f"{instead}"
            )

    def _split_folder(self, split: str) -> Path | None:
        folders = (expanded(self.path) / name for name in self.splits[split])
        return next((folder for folder in folders if folder.is_dir()), None)

    def _asked(self, split: str) -> Split:
        self.require(split)
        found = self._read(split)
        assert found is not None
        return found

    def _read(self, split: str) -> Split | None:
        folder = self._split_folder(split)
        if folder is None:
            return None
        files = files_in(folder.resolve(), self.class_order)
        return Split(
            decoded(files.paths, files.stamp, self.image_shape, self.shorter_side),
            files.labels_N.copy(),
        )

    def _check_fields(self) -> None:
        if self.shorter_side and self.shorter_side < max(self.image_shape[:2]):
            raise ValueError(
                "shorter_side must be 0, or so large that image_shape can be cut out, but got "
                f"shorter_side={self.shorter_side!r} and image_shape={self.image_shape!r}"
            )

    def _classes(self, splits: Sequence[Path]) -> tuple[str, ...]:
        """Return the names of the classes in the order of the labels.

        Raises ValueError unless all splits have the same.
        """
        names = {split: class_names(split) for split in splits}
        first = names[splits[0]]
        for split, others in names.items():
            if odd := sorted(set(first) ^ set(others)):
                composed = {name: unicodedata.normalize("NFC", name) for name in odd}
                if twice := [n for n in odd if composed[n] != n and composed[n] in odd]:
                    raise ValueError(_spelled_in_two_ways(twice[0], splits[0], split))
                has, lacks = (splits[0], split) if odd[0] in first else (split, splits[0])
                raise ValueError(
                    f"all splits must have the same subfolders, one for each class, but {odd[0]!r} "
                    f"is in {has} and not in {lacks}: make it there, with one image or more of "
                    "that class"
                )
        return in_order(first, self.class_order)


def _spelled_in_two_ways(name: str, *splits: Path) -> str:
    """Return what to do about a class that is written NFD in one split and NFC in the other."""
    [where] = [split for split in splits if name in class_names(split)]
    return (
        f"all splits must have the same subfolders, one for each class, but {name!r} is spelled in "
        f"two ways: in {where} its accents are marks of their own (NFD, as macOS may write them); "
        "rename it there as it is called in the other splits"
    )


@dataclass(frozen=True, kw_only=True)
class LabelledFolder(_Folder):
    """Reads your own labelled images: path/train/<class>/..., path/val/..., path/test/....

    Splits: train may be missing where the teacher is given; val (also named validation or valid)
    may be missing: what chooses is then the probe alone; test where no command reads it.
    Files in subfolders of a class count as well; those that are not named as images, hidden ones
    and what systems leave there (companions.py) do not.
    class_order: how classes are numbered. "name": by their names in sorted order, 0, 1, 10, 11, 2,
    as torchvision's ImageFolder does; "number": by the number in their names, 0, 1, 2, 10, 11.
    path: the folder. Not identity: content is.
    image_shape: (H, W, C). Images are resized to it, as those of pools are; where shorter_side is
    not 0, the shorter side is resized to that and the centre cut out, as torchvision evaluates.
    mean, std: per channel, of pixels scaled to 0..1, those that the teacher was trained with; found
    from train where they are not given.
    classes, content: found in the folder; content is a digest of the names and bytes of all files,
    and a folder that has changed since is refused.
    Range: memory is bounded, the cache is not: H * W * C bytes for each image of the splits that
    are read (decoded.py).
    """

    path: str = location()
    image_shape: tuple[int, int, int]
    shorter_side: int = 0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    classes: int = 0
    content: str = ""
    class_order: str = later("name")
    version: ClassVar[int] = 1
    splits: ClassVar[dict[str, tuple[str, ...]]] = {
        "train": ("train",),
        "validation": ("val", "validation", "valid"),
        "test": ("test",),
    }

    @classmethod
    def example(cls) -> Self:
        return cls(
            path="folder",
            image_shape=(32, 32, 3),
            mean=(0.5, 0.5, 0.5),
            std=(0.2, 0.2, 0.2),
            classes=7,
            content="0123456789abcdef0123",
        )

    def __post_init__(self) -> None:
        self._set(image_shape=tuple(self.image_shape))
        self._check_fields()
        if self.class_order not in ORDERS:
            raise ValueError(
                f"class_order must be one of {ORDERS}, but got class_order={self.class_order!r}"
            )
        if not (self.classes and self.content):
            self._set(classes=len(self.class_names), content=self._content())
        if self.classes < 2:
            raise ValueError(
                f"the folders in {self.path!r} must have 2 subfolders or more, one for each class, "
                f"but got {self.classes}"
            )
        if not self.mean and not self.std:
            mean, std = self._statistics()
            self._set(mean=mean, std=std)
        self._set(mean=tuple(map(float, self.mean)), std=tuple(map(float, self.std)))
        check_images(self.image_shape, self.mean, self.std)

    def _set(self, **fields: object) -> None:
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the subfolders in the order of the labels."""
        return self._classes([folder for _, folder in self._folders()])

    def renumbered(self) -> tuple[str, tuple[int, ...]] | None:
        """Return the other class_order and each class's number in it; None where it is the same."""
        names = self.class_names
        order = next(order for order in ORDERS if order != self.class_order)
        if not numbered(names) or (others := in_order(names, order)) == names:
            return None
        return f"class_order={order!r}", tuple(map(others.index, names))

    def train(self) -> Split:
        return self._asked("train")

    def validation(self) -> Split | None:
        return self._read("validation")

    def test(self) -> Split:
        return self._asked("test")

    def check(self) -> None:
        """Raise ValueError if the folder has changed or an image that judges is unreadable."""
        content = self._content()
        if content != self.content:
            raise ValueError(
                f"the images in {self.path} are not those of this experiment: content is "
                f"{content}, expected {self.content}; where these are the ones you mean, leave "
                "content out"
            )
        for name in ("validation", "test"):
            self._read(name)

    def _folders(self) -> list[tuple[str, Path]]:
        """Return the splits that there are, by name."""
        found = [(name, self._split_folder(name)) for name in self.splits]
        folders = [(name, folder.resolve()) for name, folder in found if folder is not None]
        if not folders:
            raise ValueError(
                "path must be a folder with train/, val/ or test/, each with one subfolder per "
                f"class, but got {self.path!r}, which has none of them"
            )
        return folders

    def _content(self) -> str:
        files = {name: files_in(folder) for name, folder in self._folders()}
        key = digest(["content", *(f"{name} {split.stamp}" for name, split in files.items())])
        return str(
            remembered(
                key, lambda: digest([[name, split.content()] for name, split in files.items()])
            )
        )

    def _statistics(self) -> tuple[list[float], list[float]]:
        if self._split_folder("train") is None:
            raise ValueError(
                f"mean and std must be given where there is no train/, as in {self.path!r}: those "
                "that the teacher was trained with"
            )
        key = digest(["statistics", self.content, *self.image_shape, self.shorter_side])
        mean, std = remembered(key, lambda: statistics(self.train().images))
        return mean, std


@dataclass(frozen=True, kw_only=True)
class ImageNetFolder(_Folder):
    """Reads ImageNet-1k (Russakovsky et al., 2015): train/<wnid>/..., val/<wnid>/....

    Splits: the published training images train; the published validation images, whose labels are
    the only other ones that are public, are the test set, as in all published work; there is no
    third, so what chooses is the probe.
    path: the folder. Not identity: these are the files of one published data set; for a part of it
    take LabelledFolder.
    image_shape, shorter_side: the shorter side is resized to 256 pixels and 224x224 are cut out of
    the centre, as torchvision evaluates its classifiers. Mean and deviation are torchvision's.
    Range: memory is bounded; the cache takes 7.5 GB for val, and for train, where a teacher is
    trained here, 193 GB.
    """

    path: str = location()
    image_shape: tuple[int, int, int] = (224, 224, 3)
    shorter_side: int = 256
    version: ClassVar[int] = 1
    classes: ClassVar[int] = 1000
    mean: ClassVar[tuple[float, ...]] = (0.485, 0.456, 0.406)
    std: ClassVar[tuple[float, ...]] = (0.229, 0.224, 0.225)
    splits: ClassVar[dict[str, tuple[str, ...]]] = {"train": ("train",), "test": ("val",)}

    @classmethod
    def example(cls) -> Self:
        return cls(path="folder")

    def __post_init__(self) -> None:
        object.__setattr__(self, "image_shape", tuple(self.image_shape))
        check_images(self.image_shape, self.mean, self.std)
        self._check_fields()

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the thousand subfolders. Raises ValueError for any other number."""
        splits = [split for split in map(self._split_folder, self.splits) if split is not None]
        names = self._classes(splits) if splits else ()
        if len(names) != self.classes:
            raise ValueError(
                "ImageNet's train/ and val/ must have 1000 subfolders, n01440764 and so on, but "
                f"got {len(names)} in {self.path!r}; for another set of classes take LabelledFolder"
            )
        return names

    def train(self) -> Split:
        return self._asked("train")

    def validation(self) -> None:
        return None

    def test(self) -> Split:
        return self._asked("test")

    def check(self) -> None:
        """Raise ValueError in one line if the folder has not ImageNet's classes."""
        _ = self.class_names
