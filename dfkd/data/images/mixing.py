"""Views of two images in one: the student sees mixtures, and the teacher answers to them.

B batch, H height, W width, C channels. The whole batch is mixed with itself in another order, so
that a view depends on which rows a step shows together.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dfkd.data.images.transforms import BaseView


@dataclass(frozen=True, kw_only=True)
class Mixing(BaseView):
    """What views of two images have in common: the answer is asked live, each view is a new one."""

    alpha: float = 1.0
    answer: str = "live"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not 0 < self.alpha < np.inf:
            raise ValueError(f"views.alpha must be above 0, but got alpha={self.alpha!r}")
        if self.answer != "live":
            raise ValueError(
                'the answer to a clean image is none to a mixture: views.answer must be "live", '
                f"but got answer={self.answer!r}"
            )

    @property
    def per_row(self) -> int:
        """0: a mixture belongs to a step, not to a row."""
        return 0

    def canonical(self) -> Self:
        return self

    def augment(self, images_BHWC: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
        rng = np.random.default_rng(seed)
        share_B = rng.beta(self.alpha, self.alpha, len(images_BHWC))
        other_BHWC = images_BHWC[rng.permutation(len(images_BHWC))]
        return self.mixed(images_BHWC, other_BHWC, share_B, rng)

    @abstractmethod
    def mixed(
        self,
        images_BHWC: NDArray[np.uint8],
        other_BHWC: NDArray[np.uint8],
        share_B: NDArray[np.float64],
        rng: np.random.Generator,
    ) -> NDArray[np.uint8]:
        """Return mixtures in which the first image has this share, in [0, 1]."""


@dataclass(frozen=True, kw_only=True)
class MixUp(Mixing):
    """Fades each image into another one of the batch.

    Formula: s x + (1 - s) x', s drawn from Beta(alpha, alpha) for each image, rounded to 8 bits.
    Published: Zhang et al. (ICLR 2018); with the teacher's answer to the mixture in the place of
    mixed labels Beyer et al. (CVPR 2022), "function matching".
    alpha: above 0; 1 draws all shares alike. answer: "live" only.
    """

    @classmethod
    def example(cls) -> Self:
        return cls(alpha=1.0)

    def mixed(
        self,
        images_BHWC: NDArray[np.uint8],
        other_BHWC: NDArray[np.uint8],
        share_B: NDArray[np.float64],
        rng: np.random.Generator,
    ) -> NDArray[np.uint8]:
        share_B111 = share_B[:, None, None, None]
        faded_BHWC = share_B111 * images_BHWC + (1 - share_B111) * other_BHWC
        rounded_BHWC: NDArray[np.uint8] = np.rint(faded_BHWC).astype(np.uint8)
        return rounded_BHWC


@dataclass(frozen=True, kw_only=True)
class CutMix(Mixing):
    """Replaces a rectangle of each image by the same part of another one of the batch.

    Formula: a share 1 - s of the area, s drawn from Beta(alpha, alpha) for each image, with the
    image's own proportions, around a place drawn from all pixels, cut off at the borders.
    Published: Yun et al. (ICCV 2019); the teacher answers to the mixture, in the place of mixed
    labels.
    alpha: above 0; 1 draws all shares alike. answer: "live" only.
    """

    @classmethod
    def example(cls) -> Self:
        return cls(alpha=1.0)

    def mixed(
        self,
        images_BHWC: NDArray[np.uint8],
        other_BHWC: NDArray[np.uint8],
        share_B: NDArray[np.float64],
        rng: np.random.Generator,
    ) -> NDArray[np.uint8]:
        inside_BHW = np.ones(images_BHWC.shape[:3], dtype=bool)
        for axis, side in ((1, images_BHWC.shape[1]), (2, images_BHWC.shape[2])):
            half_B = np.sqrt(1 - share_B) * side / 2
            centre_B = rng.integers(side, size=len(images_BHWC)) + 0.5
            far_BS = np.abs(np.arange(side) + 0.5 - centre_B[:, None])
            inside_BHW &= np.expand_dims(far_BS <= half_B[:, None], 3 - axis)
        return np.where(inside_BHW[..., None], other_BHWC, images_BHWC)
