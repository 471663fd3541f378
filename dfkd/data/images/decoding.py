"""Decoding turns an encoded image of unknown origin into pixels, or says why it is set aside.

H height, W width, C channels. Nothing in an image is executed: only formats are tried whose readers
are decoders (EPS would start a program), the header is looked at before any pixel is, and what a
damaged file makes a decoder raise ends here. Memory: up to 20 bytes for each pixel of the largest
image (measured: JPEG 8 to 12, WebP 16, JPEG 2000 19).
"""

import io
import struct
import warnings
import zlib
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from dfkd.data.images.formats import HEAD, other_kind, unread_format, without_texts

# raised when the same bytes begin to give other pixels, or are set aside where they were read
VERSION = 1
# Of one image: what cameras and phones take is read, decompression bombs are not
MOST_PIXELS = 50_000_000
MOST_BYTES_PER_PIXEL = 4  # of a file, for each of the most pixels: longer ones are not loaded
PIL_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF")
# What Pillow's readers were seen to raise for damaged files, beside its own errors
BROKEN = (
    OSError,
    SyntaxError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
)
# Never opened: what stands beside images in data sets, and what could do harm in other hands
OTHER_KINDS = {
    ".json",
    ".jsonl",
    ".txt",
    ".cls",
    ".cls2",
    ".caption",
    ".csv",
    ".tsv",
    ".xml",
    ".yaml",
    ".yml",
    ".html",
    ".md",
    ".id",
    ".index",
    ".py",
    ".pyd",
    ".pickle",
    ".pkl",
    ".pt",
    ".pth",
    ".npy",
    ".npz",
    ".mat",
    ".mp",
    ".msg",
    ".ten",
    ".tb",
    ".h5",
    ".parquet",
    ".arrow",
    ".safetensors",
    ".db",
    ".tar",
    ".gz",
    ".zip",
    ".mp4",
    ".wav",
    ".sh",
    ".exe",
}
ImageShape = tuple[int, int, int]  # (H, W, C)


class Rejected(Exception):
    """An image is set aside: `reason` is one of a few that are counted, `detail` what was found."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


def check_kind(name: bytes, size: int, most_pixels: int) -> None:
    """Raise Rejected for a file that by its name or size in bytes is no image that is read."""
    suffix = PurePosixPath(name.decode("utf-8", "replace")).suffix.lower()
    if suffix in OTHER_KINDS:
        raise Rejected("another kind of file", f"named as {suffix}")
    most_bytes = MOST_BYTES_PER_PIXEL * most_pixels
    if size > most_bytes:
        raise Rejected("too large", f"{size:,} bytes, read are at most {most_bytes:,}")


def decode(
    encoded: bytes, image_shape: ImageShape, most_pixels: int = MOST_PIXELS, shorter_side: int = 0
) -> NDArray[np.uint8]:
    """Return the image at the task's shape (H, W, C), resized bilinearly, channels converted.

    Alpha is cut off, not blended. Of animations and pages the first is taken. EXIF's orientation is
    not applied: torchvision's loaders, by which most teachers were trained, do not apply it.
    Colour profiles and texts of any size are no damage.
    shorter_side: where not 0, the shorter side is resized to so many pixels and the centre is cut
    out, as torchvision prepares images for its classifiers. Raises Rejected for what is no image of
    8 bits per channel, or is larger than `most_pixels`.
    """
    if not encoded:
        raise Rejected("empty", "0 bytes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of large and odd files: they are read or set aside
        try:
            with Image.open(io.BytesIO(encoded), formats=FORMATS) as opened:
                return fitted(opened, image_shape, most_pixels, shorter_side)
        except Image.DecompressionBombError as error:
            raise Rejected("too large", str(error)) from error
        except BROKEN as error:
            pixels = without_texts(encoded)
            if len(pixels) == len(encoded):
                raise _rejected(encoded, error) from error
    return decode(pixels, image_shape, most_pixels, shorter_side)


def _rejected(encoded: bytes, error: Exception) -> Rejected:
    """Return what is wrong with bytes that Pillow cannot read, by what they are."""
    head = encoded[:HEAD]
    if name := unread_format(head):
        return Rejected(f"{name}, which is not read", "convert it to PNG or JPEG")
    if isinstance(error, UnidentifiedImageError):
        begin = f"{len(encoded)} bytes that begin with {encoded[:8].hex(' ')}"
        return Rejected("not an image", other_kind(head) or begin)
    return Rejected("truncated or damaged", f"{type(error).__name__}: {error}"[:200])


def fitted(
    image: Image.Image,
    image_shape: ImageShape,
    most_pixels: int = MOST_PIXELS,
    shorter_side: int = 0,
) -> NDArray[np.uint8]:
    """Return an opened image at the task's shape (H, W, C), as `decode` does."""
    height, width, channels = image_shape
    if image.width * image.height > most_pixels:
        raise Rejected(
            "too large", f"{image.width} x {image.height} pixels, read are at most {most_pixels:,}"
        )
    if image.mode.startswith(("I", "F")):  # which of its bits carry the picture is not known
        raise Rejected("not 8 bits per channel", f"Pillow's mode {image.mode}")
    if image.mode == "LAB":
        raise Rejected("L*a*b* colours, which are not read", "convert it to RGB")
    converted = image.convert(PIL_MODES[channels])
    if not shorter_side:
        return np.asarray(converted.resize((width, height), Image.Resampling.BILINEAR)).reshape(
            image_shape
        )
    if shorter_side * shorter_side * max(image.size) > most_pixels * min(image.size):
        raise Rejected(
            "too large",
            f"{image.width} x {image.height} pixels with a shorter side of {shorter_side}",
        )
    return np.asarray(_centre(converted, height, width, shorter_side)).reshape(image_shape)


def _centre(image: Image.Image, height: int, width: int, shorter_side: int) -> Image.Image:
    """Return to the last pixel what torchvision's Resize and CenterCrop make of an image."""
    short = min(image.size)
    size = (int(shorter_side * image.width / short), int(shorter_side * image.height / short))
    left, top = round((size[0] - width) / 2), round((size[1] - height) / 2)
    return image.resize(size, Image.Resampling.BILINEAR).crop(
        (left, top, left + width, top + height)
    )
