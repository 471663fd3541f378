"""A task of which no image is here, for a teacher whose data is gone."""

from dataclasses import dataclass
from typing import ClassVar, NoReturn, Self

from dfkd.data.tasks.task import BaseTask, NoSplit


@dataclass(frozen=True, kw_only=True)
class Unlabelled(BaseTask):
    """Says how many classes a teacher knows and which images it expects, and has no labels.

        Unlabelled(classes=10, image_shape=(32, 32, 1), mean=(0.507,), std=(0.267,))

    Students are then compared by the probe alone.
    image_shape: (H, W, C). mean, std: per channel, of pixels scaled to 0..1: those that the teacher
    was trained with.
    Source: whoever trained the teacher.
    """

    classes: int
    image_shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    version: ClassVar[int] = 1

    @classmethod
    def example(cls) -> Self:
        return cls(classes=10, image_shape=(8, 8, 1), mean=(0.5,), std=(0.2,))

    def __post_init__(self) -> None:
        if self.classes < 2:
            raise ValueError(f"a task needs 2 classes or more, but got classes={self.classes!r}")
        check_images(self.image_shape, self.mean, self.std)

    def train(self) -> NoReturn:
        self.require("train")

    def validation(self) -> None:
        return None

    def test(self) -> NoReturn:
        self.require("test")

    def require(self, split: str) -> NoReturn:
        """Raise NoSplit, which says what to do instead."""
        instead = (
            "name a teacher that is trained"
            if split == "train"
            else "do without --test and compare by the probe"
        )
        raise NoSplit(
            f"a task without images was asked for its {split} split: {instead}, or name a task "
            "with images"
        )


def check_images(
    image_shape: tuple[int, int, int], mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    """Raise ValueError in one line unless the three fit together."""
    whole = all(isinstance(length, int) and length > 0 for length in image_shape)
    if len(image_shape) != 3 or not whole or image_shape[2] not in (1, 3, 4):
        raise ValueError(
            "image_shape must be (height, width, channels), whole numbers with 1, 3 or 4 channels, "
            f"but got {image_shape=}"
        )
    if (
        not len(mean) == len(std) == image_shape[2]
        or not all(0 <= m <= 1 for m in mean)
        or not all(s > 0 for s in std)
    ):
        raise ValueError(
            f"mean and std must be those of {image_shape[2]} channels scaled to 0..1, std above 0, "
            f"but got {mean=}, {std=}"
        )
