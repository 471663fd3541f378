"""Fashion-MNIST from its idx files; half of the training images are kept from every teacher.

Legend: N images, H height, W width, C channels.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dfkd.data.tasks.task import BaseTask, Split
from dfkd.identity import location
from dfkd.storage.variables import expanded

# Where the package dataset-fashion-mnist puts the files
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
# Where they lie in a folder: directly, or as torchvision puts them
BELOW = ("", "FashionMNIST/raw")
PUBLISHED = "14410854cf7a289477dc"  # `content_of` the files of 2017
LABELS = 10


@dataclass(frozen=True, kw_only=True)
class FashionMnist(BaseTask):
    """Holds 70,000 grey photographs of garments in ten classes, 28x28 (Xiao et al., 2017).

    Splits: of the 60,000 published training images, in their published order, the first 27,000 (45
    %) train and the next 3,000 (5 %) validate. The other half is no part of the task: `held_out`,
    which no teacher of this task has seen, is there for a wild pool. Test: the published 10,000.
    Mean and deviation are those of the 27,000.
    path: a folder with the four idx files, packed or not, or one that torchvision downloaded into;
    empty: the Debian package dataset-fashion-mnist, else where `download` puts them. Not identity:
    `content` is.
    content: what `content_of` says of the files; others are refused. The default is that of the
    published ones.
    """

    path: str = location(default="")
    content: str = PUBLISHED
    version: ClassVar[int] = 1
    classes: ClassVar[int] = LABELS
    image_shape: ClassVar[tuple[int, int, int]] = (28, 28, 1)
    mean: ClassVar[tuple[float, ...]] = (0.2858,)
    std: ClassVar[tuple[float, ...]] = (0.3532,)

    def train(self) -> Split:
        train = self._files().train
        return _copy_of(train, 0, 9 * len(train) // 20)

    def validation(self) -> Split:
        train = self._files().train
        return _copy_of(train, 9 * len(train) // 20, len(train) // 2)

    def test(self) -> Split:
        test = self._files().test
        return _copy_of(test, 0, len(test))

    def held_out(self) -> Split:
        """Return the half that no teacher learns from, read only.

        Its labels are for the evaluation of a selection alone.
        """
        train = self._files().train
        return Split(train.images[len(train) // 2 :], train.labels[len(train) // 2 :])

    def check(self) -> None:
        """Raise ValueError in one line if the files are not there or have other content."""
        self._files()

    def _files(self) -> _Files:
        folder = _folder(self.path)
        files = _read(folder)
        if files.content != self.content:
            raise ValueError(
                f"the files in {folder} are not the expected Fashion-MNIST: content is "
                f"{files.content}, expected {self.content}; get them again, or, where these are "
                "the ones you mean, set task.content to theirs"
            )
        return files


def content_of(folder: str) -> str:
    """Return the beginning of the SHA-256 of the four idx files in or below this folder.

    They are hashed unpacked, training images first.
    """
    return _read(_folder(folder)).content


def download(folder: str = "") -> FashionMnist:
    """Return the task after torchvision has downloaded its files into this folder.

    Without a folder they go to where an empty `path` finds them.
    """
    from torchvision.datasets import FashionMNIST

    FashionMNIST(str(expanded(folder) if folder else _torch_folder()), download=True)
    return FashionMnist(path=folder)


@dataclass(frozen=True)
class _Files:
    train: Split
    test: Split
    content: str


def _copy_of(split: Split, start: int, stop: int) -> Split:
    """Return a copy, so that a caller who writes into it does not change what the next one gets."""
    return Split(split.images[start:stop].copy(), split.labels[start:stop].copy())


def _torch_folder() -> Path:
    from torch.hub import get_dir

    return Path(get_dir()).parent / "datasets"


def _folder(path: str) -> Path:
    """Return the first place that has the files."""
    roots = [expanded(path)] if path else [DEBIAN, _torch_folder()]
    for folder in (root / below for root in roots for below in BELOW):
        if _file(folder, "train-images-idx3-ubyte") is not None:
            return folder
    raise ValueError(
        "there is no train-images-idx3-ubyte(.gz) of Fashion-MNIST in "
        f"{' or '.join(map(str, roots))}: apt-get install dataset-fashion-mnist, call "
        "dfkd.data.tasks.fashion_mnist.download(), or name its folder: task.path, pool.task.path"
    )


def _file(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


@cache
def _read(folder: Path) -> _Files:
    """Read all four at once: 55 MB that every process which needs one of them needs in any case."""
    sha256 = hashlib.sha256()
    train, test = (_split(folder, part, sha256) for part in ("train", "t10k"))
    return _Files(train, test, sha256.hexdigest()[: len(PUBLISHED)])


def _split(folder: Path, part: str, sha256: hashlib._Hash) -> Split:
    images_NHW, labels_N = (
        _array(folder / f"{part}-{name}", sha256)
        for name in ("images-idx3-ubyte", "labels-idx1-ubyte")
    )
    if (
        images_NHW.shape[1:] != FashionMnist.image_shape[:2]
        or labels_N.shape != images_NHW.shape[:1]
    ):
        raise ValueError(
            f"{folder} must hold N images of 28x28 and N labels, but {part} has shapes "
            f"{images_NHW.shape} and {labels_N.shape}: is it another data set?"
        )
    if labels_N.size and labels_N.max() >= LABELS:
        raise ValueError(
            f"labels must lie below {LABELS}, but got {labels_N.max()} in {folder}: another data "
            "set?"
        )
    return Split(images_NHW[..., None], labels_N.astype(np.int64))


def _array(path: Path, sha256: hashlib._Hash) -> NDArray[np.uint8]:
    """Return what an idx file holds. Raises ValueError where it is none of uint8.

    It has two zero bytes, 8 for uint8, the number of dimensions, their sizes and the values.
    """
    data = _unpacked(path)
    sha256.update(data)
    dimensions = data[3] if data[:3] == bytes([0, 0, 8]) and len(data) > 3 else 0
    start = 4 + 4 * dimensions
    sizes = (
        np.frombuffer(data[4:start], ">u4").tolist() if dimensions and len(data) >= start else []
    )
    if not sizes or len(data) - start != int(np.prod(sizes, dtype=np.int64)):
        raise ValueError(
            f"{path} must be an idx file of uint8, but got {len(data)} bytes that begin with "
            f"{data[:4].hex()!r} and sizes {sizes}: is it cut off? Get it again"
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(sizes)


def _unpacked(path: Path) -> bytes:
    found = _file(path.parent, path.name)
    if found is None:
        raise ValueError(
            f"there is no file {path} or {path.name}.gz: Fashion-MNIST is four files, copy all of "
            "them"
        )
    try:
        return gzip.decompress(found.read_bytes()) if found.suffix == ".gz" else found.read_bytes()
    except (OSError, EOFError, zlib.error) as error:  # gzip's BadGzipFile is an OSError
        raise ValueError(
            f"{found} cannot be unpacked ({error}): is it cut off? Get it again"
        ) from error
