"""The protocol's own tasks and pools: they need nothing but what is installed.

N images, H height, W width, C channels. Pieces of this file are ours for the protocol alone: their
names in an identity begin with the file's module, not with `dfkd`.
"""

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dfkd.data.importing.shards import ImageShape
from dfkd.data.pools import Glyphs
from dfkd.data.pools.drawing import TEXT_FONTS, draw_character
from dfkd.data.tasks import FashionMnist
from dfkd.data.tasks.task import BaseTask, Split

LETTERS = "ABCDEFGHJK"
SMALL = "abdeghnqrt"
BARS = "Il|!i"
TAUGHT_FONTS = tuple(font for font in TEXT_FONTS if font.startswith("DejaVu"))
TEST_FONTS = tuple(font for font in TEXT_FONTS if font not in TAUGHT_FONTS)
SPLITS = {"train": (4_000, TAUGHT_FONTS), "validation": (500, TAUGHT_FONTS)}
SPLITS["test"] = (2_000, TEST_FONTS)


@dataclass(frozen=True, kw_only=True)
class Letters(BaseTask):
    """Holds ten capital letters, distorted as in `Glyphs`, 16x16.

    4,000 images train and 500 validate, in the twelve DejaVu fonts; the 2,000 test images are in
    the other nine fonts (STIX and Computer Modern), which no teacher has seen. Pixels may differ
    between versions of the fonts and of Pillow: compare within one environment.
    """

    version: ClassVar[int] = 1
    classes: ClassVar[int] = len(LETTERS)
    image_shape: ClassVar[tuple[int, int, int]] = (16, 16, 1)
    mean: ClassVar[tuple[float, ...]] = (0.345,)
    std: ClassVar[tuple[float, ...]] = (0.319,)

    letters: ClassVar[str] = LETTERS

    def train(self) -> Split:
        return _copy_of("train", self.letters)

    def validation(self) -> Split:
        return _copy_of("validation", self.letters)

    def test(self) -> Split:
        return _copy_of("test", self.letters)

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(self.letters)

    def class_shown(self, character: str) -> int | None:
        return self.letters.find(character) if character and character in self.letters else None


@dataclass(frozen=True, kw_only=True)
class SmallLetters(Letters):
    """Holds ten small letters, made as `Letters`."""

    mean: ClassVar[tuple[float, ...]] = (0.361,)
    std: ClassVar[tuple[float, ...]] = (0.329,)
    letters: ClassVar[str] = SMALL


def _copy_of(name: str, letters: str) -> Split:
    """Return a copy, so that a caller who writes into it does not change what the next one gets."""
    split = _drawn(name, letters)
    return Split(split.images.copy(), split.labels.copy())


@cache
def _drawn(name: str, letters: str) -> Split:
    count, fonts = SPLITS[name]
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(sum(name.encode()))))
    drawn = [draw_character(rng, Letters.image_shape, letters, fonts) for _ in range(count)]
    labels_N = np.array([letters.index(character) for _, character in drawn], dtype=np.int64)
    return Split(np.stack([image for image, _ in drawn]), labels_N)


@dataclass(frozen=True, kw_only=True)
class ManyBars(Glyphs):
    """Draws rows of `Glyphs`, and a share of further characters that are little more than a bar.

    A teacher of `Letters` takes nearly nine in ten of the bars, of which it knows nothing, for one
    class, J: with 65 % of them about 60 % of the pool are of one pseudo-class.
    """

    version: ClassVar[int] = 1
    rows: int = 20_000
    share: float = 0.65

    def draw_row(
        self, generator: np.random.Generator, image_shape: ImageShape
    ) -> tuple[NDArray[np.uint8], str]:
        if generator.random() < self.share:
            return draw_character(generator, image_shape, BARS, TEXT_FONTS)
        while True:
            image_HWC, character = super().draw_row(generator, image_shape)
            if not character or character not in LETTERS:
                return image_HWC, character


@dataclass(frozen=True, kw_only=True)
class OtherGlyphs(Glyphs):
    """Draws rows of `Glyphs` without the ten small letters."""

    version: ClassVar[int] = 1

    def draw_row(
        self, generator: np.random.Generator, image_shape: ImageShape
    ) -> tuple[NDArray[np.uint8], str]:
        while True:
            image_HWC, character = super().draw_row(generator, image_shape)
            if not character or character not in SMALL:
                return image_HWC, character


class FashionPart(BaseTask):
    """Holds five of Fashion-MNIST's classes, from `first` on: the rest are strangers in its pool.

    The splits are those of `FashionMnist` without the other five classes.
    """

    files: FashionMnist
    first: ClassVar[int]
    classes: ClassVar[int] = 5
    image_shape: ClassVar[tuple[int, int, int]] = FashionMnist.image_shape
    mean: ClassVar[tuple[float, ...]] = FashionMnist.mean
    std: ClassVar[tuple[float, ...]] = FashionMnist.std

    def train(self) -> Split:
        return self._part(self.files.train())

    def validation(self) -> Split:
        return self._part(self.files.validation())

    def test(self) -> Split:
        return self._part(self.files.test())

    def check(self) -> None:
        """Raise ValueError in one line if the files are not there or have other content."""
        self.files.check()

    def class_shown(self, character: str) -> int | None:
        shown = super().class_shown(character)
        place = None if shown is None else shown - self.first
        return place if place in range(self.classes) else None

    def _part(self, split: Split) -> Split:
        place_N = split.labels - self.first
        inside_N = (place_N >= 0) & (place_N < self.classes)
        return Split(split.images[inside_N], place_N[inside_N])


@dataclass(frozen=True, kw_only=True)
class FashionTops(FashionPart):
    """T-shirt, trousers, pullover, dress, coat."""

    files: FashionMnist = FashionMnist()  # noqa: RUF009 - a frozen value
    version: ClassVar[int] = 1
    first: ClassVar[int] = 0


@dataclass(frozen=True, kw_only=True)
class FashionRest(FashionPart):
    """Sandal, shirt, sneaker, bag, ankle boot."""

    files: FashionMnist = FashionMnist()  # noqa: RUF009 - a frozen value
    version: ClassVar[int] = 1
    first: ClassVar[int] = 5
