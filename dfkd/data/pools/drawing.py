"""Draws one row of the embedded pool: a distorted character or a crop of a photograph.

Random numbers are uniform doubles and bounded integers only, and trigonometry is the standard
library's: what NumPy does with vector instructions or may change between versions would give other
pixels on another machine. No files are written.

Legend: H height, W width, C channels.
"""

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from dfkd.data.scikit_learn import file_of

CANVAS = 48  # pixels a side; everything is drawn and distorted at this size
EM = 39  # font size in those pixels

PHOTOGRAPHS = ("china.jpg", "flower.jpg")
DIGITS = "0123456789"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SYMBOLS = (
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~¡¢£¥§©«¬®°±¶»¿"
    "×÷ÆØßαβγδεζηθλμξπρστφχψωΓΔΘΛΞΠΣΦΨΩ←↑→↓∀∂∃∇∈∏∑√∞∧∨∩∪∫≈≠≤≥"
)
# Named one by one, so that a font which matplotlib adds does not change the pool. Left out: fonts
# that lack characters, Computer Modern's symbol and mathematical ones (their codes draw something
# else) and LastResort (draws placeholders).
SYMBOL_FONTS = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSans-BoldOblique",
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "DejaVuSansMono-Oblique",
    "DejaVuSansMono-BoldOblique",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-Italic",
    "DejaVuSerif-BoldItalic",
    "STIXGeneral",
    "STIXGeneralBol",
)
TEXT_FONTS = (
    *SYMBOL_FONTS,
    "STIXGeneralItalic",
    "STIXGeneralBolIta",
    "cmr10",
    "cmb10",
    "cmss10",
    "cmti10",
    "cmtt10",
)
KINDS = (  # share of the rows, characters, fonts; the remaining rows are crops of photographs
    (0.28, DIGITS, TEXT_FONTS),
    (0.34, LETTERS, TEXT_FONTS),
    (0.23, SYMBOLS, SYMBOL_FONTS),
)


def draw_row(
    generator: np.random.Generator, image_shape: tuple[int, int, int]
) -> tuple[NDArray[np.uint8], str]:
    """Return an image [H, W, C] and the character that it shows, "" for a photograph."""
    canvas, character = _subject(generator)
    return _developed(generator, canvas, image_shape), character


def draw_character(
    generator: np.random.Generator,
    image_shape: tuple[int, int, int],
    characters: str,
    fonts: Sequence[str],
) -> tuple[NDArray[np.uint8], str]:
    """Return an image [H, W, C] of one of these characters in one of these fonts, and which."""
    canvas, character = _one_of(generator, characters, fonts)
    return _developed(generator, canvas, image_shape), character


def _developed(
    generator: np.random.Generator, canvas: Image.Image, image_shape: tuple[int, int, int]
) -> NDArray[np.uint8]:
    """Return the canvas at the task's resolution [H, W, C], exposed in some way."""
    height, width, channels = image_shape
    # mostly half the task's resolution, as its own digits have
    coarse = 2 if generator.random() < 0.85 else 1
    small = canvas.resize((width // coarse, height // coarse), Image.Resampling.BOX)
    image = _exposed(generator, small).resize((width, height), Image.Resampling.BILINEAR)
    return np.repeat(np.asarray(image)[:, :, None], channels, axis=2)


def _subject(generator: np.random.Generator) -> tuple[Image.Image, str]:
    place = generator.random()
    for share, characters, fonts in KINDS:
        if place < share:
            return _one_of(generator, characters, fonts)
        place -= share
    return _photograph_crop(generator), ""


def _one_of(
    generator: np.random.Generator, characters: str, fonts: Sequence[str]
) -> tuple[Image.Image, str]:
    character = characters[int(generator.integers(len(characters)))]
    return _character(generator, character, fonts[int(generator.integers(len(fonts)))]), character


def _character(generator: np.random.Generator, character: str, font: str) -> Image.Image:
    sheet = Image.new("L", (2 * CANVAS, 2 * CANVAS))
    ImageDraw.Draw(sheet).text(
        (CANVAS, CANVAS), character, 255, _font(font), "mm", stroke_width=int(generator.integers(3))
    )
    ink = sheet.getbbox()
    assert ink is not None, f"no ink: {character!r} in {font}"
    distorted = sheet.transform(
        (CANVAS, CANVAS),
        Image.Transform.AFFINE,
        _distortion(generator, ink),
        Image.Resampling.BILINEAR,
    )
    if generator.random() < 0.3:
        distorted = distorted.filter(ImageFilter.GaussianBlur(_between(generator, 0.75, 3)))
    return distorted


def _distortion(
    generator: np.random.Generator, ink: tuple[int, int, int, int]
) -> tuple[float, float, float, float, float, float]:
    """Return PIL's affine coefficients, from canvas to sheet.

    The ink is centred and scaled to most of the canvas, then turned, slanted, stretched and
    shifted.
    Small marks stay small: no dot is blown up to a disc.
    """
    left, top, right, bottom = ink
    longest = max(right - left, bottom - top, EM / 2)
    scale = longest / (CANVAS * _between(generator, 0.65, 1.1))
    stretch = math.exp(_between(generator, -0.25, 0.25))
    angle, slant = math.radians(_between(generator, -18, 18)), _between(generator, -0.3, 0.3)
    cosine, sine = math.cos(angle) * scale, math.sin(angle) * scale
    a, b = cosine * stretch, (cosine * slant - sine) / stretch
    d, e = sine * stretch, (sine * slant + cosine) / stretch
    x = CANVAS / 2 + CANVAS * _between(generator, -0.08, 0.08)
    y = CANVAS / 2 + CANVAS * _between(generator, -0.08, 0.08)
    return a, b, (left + right) / 2 - a * x - b * y, d, e, (top + bottom) / 2 - d * x - e * y


def _exposed(generator: np.random.Generator, image: Image.Image) -> Image.Image:
    """Return ink of varying strength, some on a grey ground, some noisy, a few dark on bright."""
    pixels_HW = np.asarray(image, dtype=np.float64)
    ground = _between(generator, 0, 70) if generator.random() < 0.15 else 0.0
    pixels_HW = ground + pixels_HW * (_between(generator, 0.7, 1.15) * (255 - ground) / 255)
    if generator.random() < 0.2:
        noise_HW = generator.random(pixels_HW.shape) + generator.random(pixels_HW.shape) - 1.0
        pixels_HW = pixels_HW + noise_HW * _between(generator, 10, 60)
    if generator.random() < 0.08:
        pixels_HW = 255 - pixels_HW
    return Image.fromarray(np.clip(np.rint(pixels_HW), 0, 255).astype(np.uint8))


def _photograph_crop(generator: np.random.Generator) -> Image.Image:
    photograph = _photographs()[int(generator.integers(2))]
    side = math.exp(_between(generator, math.log(16), math.log(min(photograph.size))))
    left = generator.random() * (photograph.width - side)
    top = generator.random() * (photograph.height - side)
    box = (left, top, left + side, top + side)
    crop = photograph.resize((CANVAS, CANVAS), Image.Resampling.BILINEAR, box)
    if generator.random() < 0.5:
        crop = ImageOps.mirror(crop)
    return ImageOps.autocontrast(crop) if generator.random() < 0.5 else crop


def _between(generator: np.random.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(generator.random())


@cache
def _font(name: str) -> ImageFont.FreeTypeFont:
    from matplotlib import get_data_path

    path = Path(get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"
    if not path.is_file():
        raise ValueError(
            f"matplotlib must bundle the font {name!r}, but got no {path}; install matplotlib 3.8 "
            "or later"
        )
    # The basic layout: the other engine depends on a library that Pillow finds on some machines
    # only.
    return ImageFont.truetype(path, EM, layout_engine=ImageFont.Layout.BASIC)


@cache
def _photographs() -> tuple[Image.Image, ...]:
    return tuple(
        Image.open(file_of("datasets", "images", name)).convert("L") for name in PHOTOGRAPHS
    )
