"""Labelled image files: one subfolder per class, what it holds, and the statistics of pixels.

N images, H height, W width, C channels, L levels of a pixel.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dfkd.data.images.decoded import side_by_side
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


def class_names(folder: Path) -> tuple[str, ...]:
    """Return the names of the subfolders, sorted, without hidden ones."""
    return tuple(
        sorted(
            path.name
            for path in folder.iterdir()
            if path.is_dir() and not path.name.startswith(".")
        )
    )


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
def files_in(folder: Path) -> Files:
    """Return a split's files, looked at once in a process.

    Raises ValueError in one line for a class without images.
    """
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(class_names(folder)):
        found = sorted(
            path
            for path in (folder / name).rglob("*")
            if path.suffix.lower() in ENDINGS and path.is_file()
        )
        if not found:
            raise ValueError(
                f"every class must have images, but got none in {folder / name}: add some, or "
                "remove it"
            )
        paths += found
        labels += [label] * len(found)
    known_by = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    stamp = hashlib.sha256(repr(known_by).encode()).hexdigest()
    return Files(folder, tuple(paths), np.array(labels, dtype=np.int64), stamp)


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
