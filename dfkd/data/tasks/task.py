"""What a task is: labelled images in splits, and what is known of them.

Legend: N images, H height, W width, C channels. Images are uint8, 0 to 255, channels last.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from dfkd.identity import Piece


class NoSplit(ValueError):
    """A split that somebody asked for and the task does not have; one line says which and what to
    do.
    """


@dataclass(frozen=True)
class Split:
    """Images and their labels."""

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
                f"labels must be int64 of shape ({len(self.images)},), one per image, "
                f"but got {self.labels.dtype} of shape {self.labels.shape}"
            )

    def __len__(self) -> int:
        return len(self.labels)


def require(task: "Task", split: str) -> None:
    """NoSplit if the task knows that it has no such split ("train", "test"); nothing is read for
    that.
    """
    asked = getattr(task, "require", None)
    if asked is not None:
        asked(split)


class Task(Protocol):
    """What a task offers; your own needs no base class.

    Frozen, so that an experiment can hold it.
    """

    version: ClassVar[
        int
    ]  # raised when the same fields begin to give other images, labels or statistics

    @classmethod
    def example(cls) -> Self:
        """An instance with likely values, for tables and tests."""
        ...

    @property
    def classes(self) -> int: ...
    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""

    @property
    def mean(self) -> tuple[float, ...]:
        """Per channel, of the training images scaled to 0..1."""

    @property
    def std(self) -> tuple[float, ...]:
        """Per channel, of the training images scaled to 0..1."""

    def train(self) -> Split:
        """NoSplit where there is none: a teacher that is given needs none."""

    def validation(self) -> Split | None:
        """Labelled images apart from train and test, or None where there are none: then nothing may
        ask.
        """

    def test(self) -> Split:
        """Read once for each confirmed or ablation cell, never by a search. NoSplit where there is
        none.
        """


class TaskBase(Piece):
    """What a task may inherit."""
