"""Decoding: an encoded image of unknown origin to the task's pixels, or the reason why it is set aside.

H height, W width, C channels. Nothing in an image is executed: only formats are tried whose readers are decoders (EPS
would start a program), the header is looked at before any pixel is, and what a damaged file makes a decoder raise ends
here. Memory: some 16 bytes for each of the largest number of pixels that is allowed.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

VERSION = 1  # raised when the same bytes begin to give other pixels, or are set aside where they were read
MOST_PIXELS = 50_000_000  # of one image: what cameras and phones take is read, decompression bombs are not
MOST_BYTES_PER_PIXEL = 4  # of a file, times MOST_PIXELS: longer ones are not loaded
PIL_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF")
# What Pillow's readers were seen to raise for damaged files, beside its own errors
BROKEN = (
    OSError, SyntaxError, EOFError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError,
    MemoryError, struct.error, zlib.error,
)  # fmt: skip
ImageShape = tuple[int, int, int]  # (H, W, C)


class Rejected(Exception):
    """Why an image is set aside: a reason, one of a few words that can be counted, and what was found."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


def decode(encoded: bytes, image_shape: ImageShape, most_pixels: int = MOST_PIXELS) -> NDArray[np.uint8]:
    """image_HWC of the task's shape: channels converted (alpha is cut off, not blended), resized, bilinear.

    Of animations and pages the first is taken. EXIF's orientation is not applied, as torchvision's loaders, by which
    most teachers were trained, do not apply it. `Rejected` for what is not an image of 8 bits per channel, or larger
    than `most_pixels`.
    """
    if not encoded:
        raise Rejected("empty", "0 bytes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of large and odd files: they are read or set aside
        try:
            with Image.open(io.BytesIO(encoded), formats=FORMATS) as opened:
                return fitted(opened, image_shape, most_pixels)
        except UnidentifiedImageError:
            raise Rejected("not an image", f"{len(encoded)} bytes that begin with {encoded[:8].hex(' ')}") from None
        except Image.DecompressionBombError as error:
            raise Rejected("too large", str(error)) from error
        except BROKEN as error:
            raise Rejected("truncated or damaged", f"{type(error).__name__}: {error}"[:200]) from error


def fitted(image: Image.Image, image_shape: ImageShape, most_pixels: int = MOST_PIXELS) -> NDArray[np.uint8]:
    """An opened image at the task's shape."""
    height, width, channels = image_shape
    if image.width * image.height > most_pixels:
        raise Rejected("too large", f"{image.width} x {image.height} pixels, read are at most {most_pixels:,}")
    if image.mode.startswith(("I", "F")):  # which of its bits carry the picture is not known
        raise Rejected("not 8 bits per channel", f"Pillow's mode {image.mode}")
    converted = image.convert(PIL_MODES[channels]).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(converted).reshape(image_shape)
