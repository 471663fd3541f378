"""What a task promises: labelled images in splits, and what is known of them.

Legend: N images, H height, W width, C channels. Images are uint8, 0 to 255, channels last.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from dfkd.identity import Piece


class NoSplit(ValueError):
    """A split is asked for that the task does not have; one line says what to do."""


@dataclass(frozen=True)
class Split:
    """Holds images and their labels. Raises ValueError for other types or lengths."""

    images: NDArray[np.uint8]  # (N, H, W, C)
    labels: NDArray[np.int64]  # (N,)

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            raise ValueError(
                f"images must be uint8 of shape (N, H, W, C), but got {self.images.dtype} of shape "
                f"{self.images.shape}"
            )
        if self.labels.dtype != np.int64 or self.labels.shape != self.images.shape[:1]:
            raise ValueError(
                f"labels must be int64 of shape ({len(self.images)},), one per image, but got "
                f"{self.labels.dtype} of shape {self.labels.shape}"
            )

    def __len__(self) -> int:
        return len(self.labels)


class Task(Protocol):
    """Labelled images, as a frozen dataclass that an experiment can hold.

    A task of your own inherits BaseTask and has the members from `version` to `test`; those after
    them have defaults there. Images are uint8 (N, H, W, C), labels int64 (N,) from 0 to K - 1.
    """

    version: ClassVar[int]  # raised when the same fields begin to give other images or statistics

    @property
    def classes(self) -> int:
        """K, 2 or more."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C), with 1, 3 or 4 channels."""

    @property
    def mean(self) -> tuple[float, ...]:
        """The mean of each channel of the training images, scaled to 0..1."""

    @property
    def std(self) -> tuple[float, ...]:
        """The deviation of each channel of the training images, scaled to 0..1."""

    def train(self) -> Split:
        """Return what a teacher learns from. NoSplit where there is none."""

    def validation(self) -> Split | None:
        """Return labelled images apart from train and test, or None: then nothing may ask."""

    def test(self) -> Split:
        """Return what a confirmed or ablation cell reads once. NoSplit where there is none."""

    @classmethod
    def example(cls) -> Self:
        """Return an instance with likely values, for tables and tests."""

    def check(self) -> None:
        """Raise ValueError in one line if the task's files are missing or are others.

        It writes nothing into the storage.
        """

    def require(self, split: str) -> None:
        """Raise NoSplit where "train" or "test" is known to be missing; nothing is read for it."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the K classes, for people."""

    def renumbered(self) -> tuple[str, tuple[int, ...]] | None:
        """Return how classes may be numbered as well: the field that says so, and the numbers.

        K numbers, one for each class as it is numbered now; None where there is no other way.
        `platform.teach` compares what the teacher answers with both.
        """

    def class_shown(self, character: str) -> int | None:
        """Return the class that a row shows, by the `character` that a drawn pool noted of it.

        None for none of the classes. Only the evaluation of a selection asks.
        """


class BaseTask(Piece):
    """What a task may leave out: all files are there, all splits too, and classes are numbers."""

    def check(self) -> None:
        """Accept: nothing is looked at."""

    def require(self, split: str) -> None:
        """Accept: where a split is missing after all, `train` or `test` raises NoSplit."""

    @property
    def class_names(self: Task) -> tuple[str, ...]:
        """The numbers of the classes."""
        return tuple(map(str, range(self.classes)))

    def renumbered(self) -> tuple[str, tuple[int, ...]] | None:
        """Return None: classes are numbered in one way."""
        return None

    def class_shown(self, character: str) -> int | None:
        """Return 3 for "garment 3": a drawn pool notes a word and the number of the class."""
        found = re.fullmatch(r"\S+ (\d+)", character)
        return None if found is None else int(found[1])
