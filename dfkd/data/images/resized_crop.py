"""Crops of another size and shape, brought back to the size of the image.

B batch, H height, W width, C channels.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dfkd.data.images.transforms import BaseView, check_view

TRIES = 10  # as in torchvision


@dataclass(frozen=True, kw_only=True)
class RandomResizedCrop(BaseView):
    """Cuts a part of random size and shape out of each image, and resizes it to the image's size.

    Formula: area drawn evenly from [scale, 1] of the image's, aspect (width to height) from
    [1 / ratio, ratio], evenly in its logarithm; the first of ten drawings that fits into the image
    at a place drawn evenly, or the whole image; resized bilinearly; mirrored with probability 1/2
    if `flip`.
    Published: Szegedy et al. (CVPR 2015), with the parameters of torchvision's RandomResizedCrop;
    answered to live, as a small part may show another class than the whole.
    scale: smallest share of the area, in (0, 1]. ratio: widest aspect, 1 or more.
    answer, per_row: see View.
    """

    scale: float = 0.08
    ratio: float = 4 / 3
    flip: bool = True
    answer: str = "live"
    per_row: int = 0
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not 0 < self.scale <= 1 or not 1 <= self.ratio < np.inf:
            raise ValueError(
                "views.scale must lie above 0 and up to 1 and views.ratio be 1 or more, but got "
                f"scale={self.scale!r}, ratio={self.ratio!r}"
            )
        check_view(self.answer, self.per_row)

    def canonical(self) -> "RandomResizedCrop | None":
        return self if self.flip or self.scale < 1 else None

    def augment(self, images_BHWC: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
        rng = np.random.default_rng(seed)
        batch, height, width, _ = images_BHWC.shape
        tall_B, wide_B = self._sizes(batch, height, width, rng)
        down_BH, across_BW = _places(tall_B, height, rng), _places(wide_B, width, rng)
        if self.flip:
            flipped_B = rng.random(batch) < 0.5
            across_BW[flipped_B] = across_BW[flipped_B, ::-1]
        tall_BHWC = _between(images_BHWC, down_BH[:, :, None, None], axis=1)
        whole_BHWC = _between(tall_BHWC, across_BW[:, None, :, None], axis=2)
        resized_BHWC: NDArray[np.uint8] = np.rint(whole_BHWC).astype(np.uint8)
        return resized_BHWC

    def _sizes(
        self, batch: int, height: int, width: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return height and width of each image's part, in pixels: [B] and [B]."""
        area_TB = rng.uniform(self.scale, 1, (TRIES, batch)) * height * width
        aspect_TB = self.ratio ** rng.uniform(-1, 1, (TRIES, batch))
        tall_TB = np.rint(np.sqrt(area_TB / aspect_TB)).astype(np.int64)
        wide_TB = np.rint(np.sqrt(area_TB * aspect_TB)).astype(np.int64)
        fits_TB = (tall_TB <= height) & (wide_TB <= width) & (tall_TB > 0) & (wide_TB > 0)
        first_B, any_B, each_B = fits_TB.argmax(0), fits_TB.any(0), np.arange(batch)
        return (
            np.where(any_B, tall_TB[first_B, each_B], height),
            np.where(any_B, wide_TB[first_B, each_B], width),
        )


def _places(length_B: NDArray[np.int64], side: int, rng: np.random.Generator) -> NDArray[Any]:
    """Return where each pixel of a side looks [B, S]: evenly over a stretch drawn for each image.

    Places lie between those of the stretch's first and last pixel: nothing outside shines in.
    """
    start_B1 = rng.integers(0, side - length_B + 1)[:, None]
    within_BS = (np.arange(side) + 0.5) * length_B[:, None] / side - 0.5
    return np.asarray(start_B1 + np.clip(within_BS, 0, length_B[:, None] - 1))


def _between(images: NDArray[Any], places: NDArray[Any], axis: int) -> NDArray[np.float32]:
    """Return the images at these places along an axis, linearly between the two nearest pixels."""
    below = np.floor(places).astype(np.int64)
    share = (places - below).astype(np.float32)
    near = np.take_along_axis(images, below, axis)
    far = np.take_along_axis(images, np.ceil(places).astype(np.int64), axis)
    between: NDArray[np.float32] = (1 - share) * near + share * far
    return between
