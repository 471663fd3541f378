"""CIFAR-10 and CIFAR-100 from their binary files, which hold nothing that is executed.

Both come from https://www.cs.toronto.edu/~kriz/cifar.html, "binary version"; the Python version is
pickles, and is not read. There is no validation split: what chooses is the probe.

Legend: N images, H height, W width, C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from dfkd.data.tasks.task import BaseTask, Split
from dfkd.identity import location
from dfkd.storage.variables import expanded

PIXELS = 3 * 32 * 32


class _Cifar(BaseTask):
    """What the two have in common: records of some label bytes and an image's planes."""

    path: str
    train_files: ClassVar[tuple[str, ...]]
    test_files: ClassVar[tuple[str, ...]]
    label_bytes: ClassVar[int]
    classes: ClassVar[int]
    image_shape: ClassVar[tuple[int, int, int]] = (32, 32, 3)

    def check(self) -> None:
        """Raise ValueError in one line where the files that judge a student cannot be read.

        Those that a teacher learns from may be missing: it may be given.
        """
        self._read(self.test_files)

    def train(self) -> Split:
        return self._read(self.train_files)

    def validation(self) -> None:
        return None

    def test(self) -> Split:
        return self._read(self.test_files)

    def _read(self, names: Sequence[str]) -> Split:
        """Return a copy: a caller who writes into it does not change what the next one gets."""
        splits = [
            _records(expanded(self.path) / name, self.label_bytes, self.classes) for name in names
        ]
        return Split(
            np.concatenate([split.images for split in splits]),
            np.concatenate([split.labels for split in splits]),
        )


@dataclass(frozen=True, kw_only=True)
class Cifar10(_Cifar):
    """Holds 50,000 and 10,000 photographs of 32x32 in ten classes (Krizhevsky, 2009).

    path: the folder with data_batch_1.bin to data_batch_5.bin and test_batch.bin. Not identity:
    these are the files of one published data set. Mean and deviation are those of the published
    training images.
    """

    path: str = location()
    version: ClassVar[int] = 1
    classes: ClassVar[int] = 10
    mean: ClassVar[tuple[float, ...]] = (0.4914, 0.4822, 0.4465)
    std: ClassVar[tuple[float, ...]] = (0.2470, 0.2435, 0.2616)
    train_files: ClassVar[tuple[str, ...]] = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
    test_files: ClassVar[tuple[str, ...]] = ("test_batch.bin",)
    label_bytes: ClassVar[int] = 1

    @classmethod
    def example(cls) -> Self:
        return cls(path="folder")


@dataclass(frozen=True, kw_only=True)
class Cifar100(_Cifar):
    """Holds 50,000 and 10,000 photographs of 32x32 in a hundred classes (Krizhevsky, 2009).

    The fine labels are read.
    path: the folder with train.bin and test.bin; see `Cifar10`.
    """

    path: str = location()
    version: ClassVar[int] = 1
    classes: ClassVar[int] = 100
    mean: ClassVar[tuple[float, ...]] = (0.5071, 0.4865, 0.4409)
    std: ClassVar[tuple[float, ...]] = (0.2673, 0.2564, 0.2762)
    train_files: ClassVar[tuple[str, ...]] = ("train.bin",)
    test_files: ClassVar[tuple[str, ...]] = ("test.bin",)
    label_bytes: ClassVar[int] = 2  # the coarse label, then the fine one

    @classmethod
    def example(cls) -> Self:
        return cls(path="folder")


@cache
def _records(path: Path, label_bytes: int, classes: int) -> Split:
    """Return the images of a file. Raises ValueError where it is missing or not of this format."""
    if not path.is_file():
        raise ValueError(
            f"there is no file {path}: name the folder of the binary version of CIFAR with path=..."
        )
    data = np.fromfile(path, dtype=np.uint8)
    size = label_bytes + PIXELS
    if not len(data) or len(data) % size:
        raise ValueError(
            f"{path} must hold records of {size} bytes, but has {len(data)}: is it cut off?"
        )
    records = data.reshape(-1, size)
    labels_N = records[:, label_bytes - 1].astype(np.int64)
    if labels_N.max() >= classes:
        raise ValueError(
            f"{path} must hold labels below {classes}, but got {labels_N.max()}: is it the other "
            "CIFAR?"
        )
    planes_NCHW = records[:, label_bytes:].reshape(-1, 3, 32, 32)
    return Split(np.ascontiguousarray(planes_NCHW.transpose(0, 2, 3, 1)), labels_N)
