"""Labelled image files: one subfolder per class, what it holds, and the statistics of pixels.

N images, H height, W width, C channels, L levels of a pixel.
"""

import hashlib
import os
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dfkd.data.images.decoded import side_by_side
from dfkd.data.importing.companions import is_companion
from dfkd.identity import Json, digest

ENDINGS = (
    ".jpg",
    ".jpeg",
    ".png",
    ".bmp",
    ".gif",
    ".ppm",
    ".pgm",
    ".webp",
    ".tif",
    ".tiff",
    ".jp2",
    ".avif",
)


ORDERS = ("name", "number")


def class_names(folder: Path) -> tuple[str, ...]:
    """Return the names of the subfolders, sorted, without companions such as hidden ones."""
    return tuple(
        sorted(
            path.name
            for path in folder.iterdir()
            if path.is_dir() and not is_companion(os.fsencode(path.name))
        )
    )


def in_order(names: tuple[str, ...], order: str) -> tuple[str, ...]:
    """Return names sorted by "name", 1, 10, 2, or by the "number" in them, 1, 2, 10.

    Raises ValueError in one line for a name without a number that is to be sorted by it.
    """
    if order == "name":
        return tuple(sorted(names))
    if not numbered(names):
        raise ValueError(
            "class_order='number' needs classes with a number in their names, but got "
            f"{', '.join(map(repr, names[:5]))}: leave class_order out to have them sorted by name"
        )
    return tuple(sorted(names, key=_numbers))


def numbered(names: tuple[str, ...]) -> bool:
    """Return whether there is a number in each of the names."""
    return all(re.search("[0-9]", name) for name in names)


def _numbers(name: str) -> tuple[list[str], list[int], str]:
    """Return what a name is sorted by: the text around its numbers, these, and at last itself."""
    parts = re.split("([0-9]+)", name)
    return parts[::2], [int(part) for part in parts[1::2]], name


@dataclass(frozen=True)
class Files:
    """The images of one split, by class and name.

    stamp: another one where a file is new, moved or has changed.
    """

    folder: Path
    paths: tuple[Path, ...]
    labels_N: NDArray[np.int64]
    stamp: str

    def content(self) -> str:
        """Return a digest of names and bytes."""
        names: list[Json] = [str(path.relative_to(self.folder)) for path in self.paths]
        return digest([names, [*side_by_side(_digest, self.paths)]])


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def files_in(folder: Path, order: str = "name") -> Files:
    """Return a split's files, class by class in this order, looked at once in a process.

    Raises ValueError in one line for a class without images.
    """
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(in_order(class_names(folder), order)):
        found = sorted(
            path
            for path in (folder / name).rglob("*")
            if path.suffix.lower() in ENDINGS
            and path.is_file()
            and not is_companion(os.fsencode(path.relative_to(folder / name)))
        )
        if not found:
            raise ValueError(
                f"every class must have images in every split, but got none in {folder / name}"
                f"{_other_files(folder / name)}: move one image or more of that class there from "
                "another split"
            )
        paths += found
        labels += [label] * len(found)
    known_by = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    stamp = hashlib.sha256(repr(known_by).encode()).hexdigest()
    return Files(folder, tuple(paths), np.array(labels, dtype=np.int64), stamp)


def _other_files(folder: Path) -> str:
    """Return in words how the files that are there end, "" where there are none."""
    names = [path for path in folder.rglob("*") if path.is_file()]
    endings = Counter(
        path.suffix.lower() or "no ending"
        for path in names
        if not is_companion(os.fsencode(path.relative_to(folder)))
    )
    said = ", ".join(f"{count} {ending}" for ending, count in endings.most_common(3))
    return f" (files there: {said}; read are {' '.join(ENDINGS)})" if said else ""


def statistics(images_NHWC: NDArray[np.uint8]) -> tuple[list[float], list[float]]:
    """Return mean and deviation of each channel scaled to 0..1, to four digits.

    They are exact, computed from a stretch of images at a time.
    """
    counts_CL = np.zeros((images_NHWC.shape[3], 256), dtype=np.int64)
    for start in range(0, len(images_NHWC), 1024):
        part_NHWC = images_NHWC[start : start + 1024]
        counts_CL += [
            np.bincount(part_NHWC[..., c].reshape(-1), minlength=256) for c in range(len(counts_CL))
        ]
    levels_L = np.arange(256) / 255
    share_CL = counts_CL / counts_CL.sum(1, keepdims=True)
    mean_C = share_CL @ levels_L
    std_C = np.sqrt(share_CL @ levels_L**2 - mean_C**2)
    return [round(float(m), 4) for m in mean_C], [round(float(s), 4) for s in std_C]
