"""Transforms make normalised float tensors of stored images, and augmented views.

B batch, H height, W width, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Protocol, Self

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
    """Return float images [B, C, H, W] on the device, as `normalised` makes them."""
    # a copy of what lies in shared memory, read only
    images_BHWC = np.require(images_BHWC, requirements=["C", "W"])
    return normalised(on_device(images_BHWC, device), task)


def on_device(array: NDArray[Any], device: str | torch.device) -> Tensor:
    """Return the array as a tensor on the device; this process does not wait for the copy."""
    tensor = torch.from_numpy(array)
    if torch.device(device).type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)  # from other memory it would wait


def normalised(images_BHWC: Tensor, task: Task) -> Tensor:
    """Return float images [B, C, H, W], normalised with the task's mean and deviation.

    images_BHWC: uint8. Images of a pool are normalised with the task's statistics as well, as CMI
    and MosaicKD do.
    """
    mean_C, std_C = _statistics(task.mean, task.std, images_BHWC.device)
    return (images_BHWC.permute(0, 3, 1, 2).float() - mean_C) / std_C


@cache  # a copy to a GPU in every step would cost more than the subtraction
@torch.inference_mode(False)
def _statistics(
    mean: tuple[float, ...], std: tuple[float, ...], device: torch.device
) -> tuple[Tensor, Tensor]:
    mean_C, std_C = (torch.tensor(v, device=device).view(1, -1, 1, 1) * 255 for v in (mean, std))
    return mean_C, std_C


class View(Protocol):
    """How the student's view of an image is made, and which image the teacher answers to."""

    version: ClassVar[int]

    @classmethod
    def example(cls) -> Self:
        """Return an instance with likely values, for tables and tests."""

    @property
    def answer(self) -> str:
        """Which image the teacher answers to: "cached" is the clean one, "live" the view."""

    @property
    def per_row(self) -> int:
        """0 for a fresh view in every step; n > 0 for one of n fixed views of each row.

        A live answer is then computed once for each and kept in memory: n * N * (K + D) * 4 bytes
        for N selected rows, K classes and D features.
        """

    def canonical(self) -> View | None:
        """Return the one form of all equal views; None where they are the clean images."""

    def augment(self, images_BHWC: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
        """Return augmented copies, drawn from `seed` for all images together.

        With several workers each one augments the whole batch.
        """

    def augment_tensor(self, images_BHWC: Tensor, seed: int) -> Tensor:
        """Return the same copies of uint8 images that lie on any device, and there."""


class BaseView(Piece):
    """What a view may leave out: images on a GPU are augmented by way of the CPU."""

    def augment_tensor(self: View, images_BHWC: Tensor, seed: int) -> Tensor:
        """Return what `augment` makes of them."""
        copies_BHWC = self.augment(images_BHWC.cpu().numpy(), seed)
        return on_device(np.ascontiguousarray(copies_BHWC), images_BHWC.device)


def check_view(answer: str, per_row: int) -> None:
    """Raise ValueError in one line for another answer or a negative number of views."""
    if answer not in ("cached", "live"):
        raise ValueError(f'views.answer must be "cached" or "live", but got {answer=}')
    if per_row < 0:
        raise ValueError(
            f"views.per_row must be 0, for fresh views, or a number of views, but got {per_row=}"
        )


@dataclass(frozen=True, kw_only=True)
class Crop(BaseView):
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
        p = self.padding
        padded_BHWC = np.pad(images_BHWC, ((0, 0), (p, p), (p, p), (0, 0)))
        cropped_BHWC: NDArray[np.uint8] = padded_BHWC[self._places(images_BHWC.shape, seed)]
        return cropped_BHWC

    def augment_tensor(self, images_BHWC: Tensor, seed: int) -> Tensor:
        p, device = self.padding, images_BHWC.device
        padded_BHWC = torch.nn.functional.pad(images_BHWC, (0, 0, p, p, p, p))
        places = self._places(tuple(images_BHWC.shape), seed)
        return padded_BHWC[tuple(on_device(i, device) for i in places)]

    def _places(
        self, shape: tuple[int, ...], seed: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return which image, row and column of the padded images each pixel of a copy shows."""
        rng = np.random.default_rng(seed)
        batch, height, width, _ = shape
        top_B, left_B = rng.integers(0, 2 * self.padding + 1, (2, batch))
        rows_BH = top_B[:, None] + np.arange(height)
        columns_BW = left_B[:, None] + np.arange(width)
        if self.flip:
            flipped_B = rng.random(batch) < 0.5
            columns_BW[flipped_B] = columns_BW[flipped_B, ::-1]
        return np.arange(batch)[:, None, None], rows_BH[:, :, None], columns_BW[:, None, :]


@dataclass(frozen=True, kw_only=True)
class RandAugment(BaseView):
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
