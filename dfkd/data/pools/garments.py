"""The pool for Fashion-MNIST that needs no network: glyphs, crops, and shifted garments.

Legend: H height, W width, C channels.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from dfkd.data.importing.shards import ImageShape
from dfkd.data.pools.glyphs import Glyphs
from dfkd.data.tasks.fashion_mnist import FashionMnist
from dfkd.identity import digest, spec
from dfkd.storage.layout import Key

# How often each; at least one
SHIFTS = {"rotated": 0.5, "textured": 0.5, "blurred": 0.3, "inverted": 0.3}


@dataclass(frozen=True, kw_only=True)
class WildGarments(Glyphs):
    """Draws rows of `Glyphs`, and a share of strongly shifted garments.

    A garment is one of `task.held_out()`, the half of the training images that no teacher has seen.
    It is, each at random and at least one of it: turned by 20 to 90 degrees either way, set on a
    textured ground (stripes, checks or noise), blurred, inverted. Which class a row shows stands in
    the column `character` ("garment 3"), for the evaluation of a selection alone: the share in the
    domain is known, and no method can read it. Row i of draw d depends on (d, i), `share` and the
    files alone.
    Source: ours; see `Glyphs` for the other rows.
    Range: rows as in `Glyphs`; share in [0, 1]; images of 28x28x1 only.
    Interplay: designed once, by looking; not tuned on any result of a distillation.
    """

    version: ClassVar[int] = 1
    rows: int = 60_000
    share: float = 0.3
    task: FashionMnist = FashionMnist()  # noqa: RUF009 - a frozen value

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.share <= 1:
            raise ValueError(
                f"share, of garments in the pool, must lie in [0, 1], but got share={self.share!r}"
            )

    def check(self, image_shape: ImageShape) -> None:
        """Raise ValueError for another shape, and where the garments' files are not there."""
        if tuple(image_shape) != self.task.image_shape:
            raise ValueError(
                f"wild garments are {self.task.image_shape} (H, W, C), but got {image_shape=}"
            )
        self.task.check()

    def draw_row(
        self, generator: np.random.Generator, image_shape: ImageShape
    ) -> tuple[NDArray[np.uint8], str]:
        if generator.random() >= self.share:
            return super().draw_row(generator, image_shape)
        held_out = self.task.held_out()
        one = int(generator.integers(len(held_out)))
        image_HW = shifted(generator, held_out.images[one, :, :, 0])
        return image_HW[:, :, None], f"garment {held_out.labels[one]}"

    def place(self, image_shape: ImageShape, draw: int = 0) -> Key:
        """Return where the pool lies, named by its identity and so by its files' content."""
        self.check(image_shape)
        plain = super().place(image_shape, draw)
        return plain.with_name(f"garments-{digest(spec(self))}-draw{draw}")


def shifted(generator: np.random.Generator, garment_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the garment [H, W] after one or more of the shifts.

    They come in the order in which a photograph would suffer them.
    """
    chosen = {name for name, often in SHIFTS.items() if generator.random() < often}
    chosen = chosen or {list(SHIFTS)[int(generator.integers(len(SHIFTS)))]}
    image_HW = garment_HW
    if "rotated" in chosen:
        degrees = (20 + 70 * float(generator.random())) * (1 if generator.random() < 0.5 else -1)
        image_HW = np.asarray(Image.fromarray(image_HW).rotate(degrees, Image.Resampling.BILINEAR))
    if "textured" in chosen:
        image_HW = _on_ground(image_HW, texture(generator, image_HW.shape))
    if "blurred" in chosen:
        radius = 1 + int(generator.integers(2))
        image_HW = np.asarray(Image.fromarray(image_HW).filter(ImageFilter.BoxBlur(radius)))
    return 255 - image_HW if "inverted" in chosen else image_HW


def texture(generator: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return stripes in some direction, checks or noise, of a random strength up to 199.

    They are drawn in whole numbers only, so that every machine draws the same.
    """
    strength, width = 60 + int(generator.integers(140)), 2 + int(generator.integers(5))
    kind = int(generator.integers(3))
    if kind == 0:
        return generator.integers(0, strength + 1, shape)
    y_HW, x_HW = np.indices(shape)
    if kind == 1:
        on_HW = (x_HW // width + y_HW // width) % 2
    else:
        on_HW = (3 * x_HW + int(generator.integers(-3, 4)) * y_HW) // width % 2
    ground_HW: NDArray[np.int64] = on_HW * strength
    return ground_HW


def _on_ground(garment_HW: NDArray[np.uint8], ground_HW: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the garment on a ground, which is seen as far as the garment is dark."""
    return (garment_HW + ground_HW * (255 - garment_HW.astype(np.int64)) // 255).astype(np.uint8)
