"""Views of two images in one: the student sees mixtures, and the teacher answers to them.

B batch, H height, W width, C channels. The whole batch is mixed with itself in another order, so
that a view depends on which rows a step shows together.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Self

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
        own_BHW1 = self.own(share_B, images_BHWC.shape[1:3], rng)[..., None]
        mixed_BHWC = own_BHW1 * images_BHWC + (1 - own_BHW1) * other_BHWC
        rounded_BHWC: NDArray[np.uint8] = np.rint(mixed_BHWC).astype(np.uint8)
        return rounded_BHWC

    @abstractmethod
    def own(
        self, share_B: NDArray[np.float64], sides: tuple[int, ...], rng: np.random.Generator
    ) -> NDArray[Any]:
        """Return how much of each pixel is of the first image, in [0, 1]: [B, H, W] or [B, 1, 1].

        share_B: of the first image in the whole. sides: H and W.
        """


@dataclass(frozen=True, kw_only=True)
class MixUp(Mixing):
    """Fades each image into another one of the batch.

    Formula: s x + (1 - s) x', s drawn from Beta(alpha, alpha) for each image, rounded to 8 bits.
    Published: Zhang et al. (ICLR 2018); with the teacher's answer to the mixture in the place of
    mixed labels Beyer et al. (CVPR 2022), "function matching".
    alpha: above 0; 1 draws all shares alike. answer: "live" only.
    """

    def own(
        self, share_B: NDArray[np.float64], sides: tuple[int, ...], rng: np.random.Generator
    ) -> NDArray[Any]:
        return share_B[:, None, None]


@dataclass(frozen=True, kw_only=True)
class CutMix(Mixing):
    """Replaces a rectangle of each image by the same part of another one of the batch.

    Formula: a share 1 - s of the area, s drawn from Beta(alpha, alpha) for each image, with the
    image's own proportions, around a place drawn from all pixels, cut off at the borders.
    Published: Yun et al. (ICCV 2019); the teacher answers to the mixture, in the place of mixed
    labels.
    Interplay: in training of four times the recipes' steps it gained 2.0 and 1.5 points on two
    tasks and nothing on the third (docs/measured.md, "The third round").
    alpha: above 0; 1 draws all shares alike. answer: "live" only.
    """

    def own(
        self, share_B: NDArray[np.float64], sides: tuple[int, ...], rng: np.random.Generator
    ) -> NDArray[Any]:
        down_BH, across_BW = (_within(np.sqrt(1 - share_B) * side, side, rng) for side in sides)
        return np.asarray(1 - down_BH[:, :, None] * across_BW[:, None, :])


def _within(length_B: NDArray[np.float64], side: int, rng: np.random.Generator) -> NDArray[Any]:
    """Return 1 for the pixels of a side [B, S] in a stretch of this length around a drawn one."""
    centre_B = rng.integers(side, size=len(length_B))
    far_BS = np.abs(np.arange(side) - centre_B[:, None])
    return np.asarray(far_BS <= length_B[:, None] / 2, dtype=np.int64)
