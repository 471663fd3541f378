"""Transforms make normalised float tensors of stored images, and augmented views.

B batch, H height, W width, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfkd.data.tasks import Task
from dfkd.identity import Piece, later
from dfkd.seeding import drawing_from


def to_tensor(
    images_BHWC: NDArray[np.uint8], task: Task, device: str | torch.device = "cpu"
) -> Tensor:
    """Return float images [B, C, H, W], normalised with the task's mean and deviation.

    Images of a pool are normalised with those of the task as well, as CMI and MosaicKD do.
    """
    # a copy of what lies in shared memory, read only
    images_BHWC = np.require(images_BHWC, requirements=["C", "W"])
    images_BCHW = torch.from_numpy(images_BHWC).to(device).permute(0, 3, 1, 2).float()
    mean_C = torch.tensor(task.mean, device=device).view(1, -1, 1, 1) * 255
    std_C = torch.tensor(task.std, device=device).view(1, -1, 1, 1) * 255
    return (images_BCHW - mean_C) / std_C


class View(Protocol):
    """How the student's view of an image is made, and which image the teacher answers to."""

    version: ClassVar[int]

    @classmethod
    def example(cls) -> Self:
        """Return an instance with likely values, for tables and tests."""
        ...

    @property
    def answer(self) -> str:
        """Which image the teacher answers to: "cached" is the clean one, "live" the view."""
        ...

    @property
    def per_row(self) -> int:
        """0 for a fresh view in every step; n > 0 for one of n fixed views of each row.

        A live answer is then computed once for each and kept in memory: n * N * (K + D) * 4 bytes
        for N selected rows, K classes and D features.
        """
        ...

    def canonical(self) -> View | None:
        """Return the one form of all equal views; None where they are the clean images."""
        ...

    def augment(self, images_BHWC: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
        """Return augmented copies, drawn from `seed` for all images together.

        With several workers each one augments the whole batch.
        """
        ...


def check_view(answer: str, per_row: int) -> None:
    """Raise ValueError in one line for another answer or a negative number of views."""
    if answer not in ("cached", "live"):
        raise ValueError(f'views.answer must be "cached" or "live", but got {answer=}')
    if per_row < 0:
        raise ValueError(
            f"views.per_row must be 0, for fresh views, or a number of views, but got {per_row=}"
        )


@dataclass(frozen=True, kw_only=True)
class Crop(Piece):
    """Crops at random after padding with black, and mirrors with probability 1/2 if `flip`.

    Published: the augmentation of nearly all work on CIFAR (He et al., 2016), padding 4 and flip.
    padding: in pixels, 0 or more.
    answer, per_row: see View. Losses on maps or two views ask the teacher live, whatever `answer`
    says.
    """

    padding: int = 4
    flip: bool = True
    answer: str = later("cached")
    per_row: int = later(0)
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.padding < 0:
            raise ValueError(
                f"views.padding must be 0 pixels or more, but got padding={self.padding!r}"
            )
        check_view(self.answer, self.per_row)

    def canonical(self) -> Crop | None:
        return self if self.padding or self.flip else None

    def augment(self, images_BHWC: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
        rng = np.random.default_rng(seed)
        batch, height, width, _ = images_BHWC.shape
        p = self.padding
        top_B, left_B = rng.integers(0, 2 * p + 1, (2, batch))
        padded = np.pad(images_BHWC, ((0, 0), (p, p), (p, p), (0, 0)))
        rows_BH = top_B[:, None] + np.arange(height)
        columns_BW = left_B[:, None] + np.arange(width)
        image_B = np.arange(batch)
        cropped: NDArray[np.uint8] = padded[
            image_B[:, None, None], rows_BH[:, :, None], columns_BW[:, None, :]
        ]
        if self.flip:
            flipped_B = rng.random(batch) < 0.5
            cropped[flipped_B] = cropped[flipped_B, :, ::-1]
        return cropped


@dataclass(frozen=True, kw_only=True)
class RandAugment(Piece):
    """Crops and mirrors as Crop does, then makes `operations` random changes.

    They are 14: shifts, shears, rotation, contrast, colours and so on.
    Published: Cubuk et al., 2020; torchvision's implementation, image by image: 0.2 to 0.5 ms each,
    which a small student notices.
    operations: 1 or more; magnitude: 0 to 30, 9 is torchvision's; padding, flip: as in Crop.
    answer, per_row: see View; the answer to the clean image may be wrong for a strong view, so that
    "live" is the usual choice.
    """

    operations: int = 2
    magnitude: int = 9
    padding: int = 4
    flip: bool = True
    answer: str = "live"
    per_row: int = 0
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.operations < 1 or not 0 <= self.magnitude <= 30:
            raise ValueError(
                "views.operations must be 1 or more and views.magnitude lie in 0..30, but got "
                f"operations={self.operations!r}, magnitude={self.magnitude!r}"
            )
        if self.padding < 0:
            raise ValueError(
                f"views.padding must be 0 pixels or more, but got padding={self.padding!r}"
            )
        check_view(self.answer, self.per_row)

    def canonical(self) -> RandAugment:
        return self

    def augment(self, images_BHWC: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
        from torchvision.transforms import v2  # takes a second to import

        cropped_BHWC = Crop(padding=self.padding, flip=self.flip).augment(images_BHWC, seed)
        change = v2.RandAugment(num_ops=self.operations, magnitude=self.magnitude)
        with drawing_from(seed, "cpu"):  # what is drawn does not depend on the images
            changed = [
                change(torch.from_numpy(image_HWC).permute(2, 0, 1)) for image_HWC in cropped_BHWC
            ]
        return np.ascontiguousarray(torch.stack(changed).permute(0, 2, 3, 1).numpy())


VIEWS: tuple[type[View], ...] = (Crop, RandAugment)
