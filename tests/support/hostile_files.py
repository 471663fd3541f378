"""Three hundred files as they lie in folders that nobody has tidied, made kind by kind.

`write(folder)` returns name -> reason, "" for a file that is to be read. Names are bytes, as file
systems have them.
"""

import io
import os
import pickle
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

READ, BROKEN, DEEP = "", "truncated or damaged", "not 8 bits per channel"
Made = Iterator[tuple[str, bytes, str]]  # name, content, reason


class Trap:
    """Unpickled, it leaves a file: proof that something was executed."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch '{self.mark}'",)


def photo(seed: int, mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> Image.Image:
    noise = np.random.default_rng(seed).integers(
        0, 256, (size[1] // 5 + 1, size[0] // 5 + 1, 3), np.uint8
    )
    return Image.fromarray(noise).resize(size).convert(mode)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def good(seeds: range) -> Made:
    kinds = [
        ("jpg", "JPEG"),
        ("png", "PNG"),
        ("webp", "WEBP"),
        ("bmp", "BMP"),
        ("tif", "TIFF"),
        ("ppm", "PPM"),
    ]
    for i in seeds:
        suffix, kind = kinds[i % len(kinds)]
        yield f"good/{i:03d}.{suffix}", encoded(photo(i), kind), READ


def truncated(seeds: range) -> Made:
    for i in seeds:
        suffix, kind = [("jpg", "JPEG"), ("png", "PNG"), ("gif", "GIF")][i % 3]
        whole = encoded(photo(i, size=(90, 90)), kind)
        yield f"truncated-{i}.{suffix}", whole[: len(whole) * (3 + i % 5) // 10], BROKEN


def damaged(seeds: range) -> Made:
    """A PNG's checksum is wrong, its data are not deflated, its chunk is longer than the file."""
    for i in seeds:
        whole = bytearray(encoded(photo(i), "PNG"))
        at = whole.index(b"IDAT")
        whole[at + 6 : at + 26] = bytes(20)
        yield f"damaged-{i}.png", bytes(whole), BROKEN


def empty(seeds: range) -> Made:
    for i in seeds:
        yield f"zero-{i}.jpg", b"", "empty"


def cmyk(seeds: range) -> Made:
    for i in seeds:
        yield (
            f"cmyk-{i}.{'jpg' if i % 2 else 'tif'}",
            encoded(photo(i, "CMYK"), "JPEG" if i % 2 else "TIFF"),
            READ,
        )


def sixteen_bits(seeds: range) -> Made:
    for i in seeds:
        deep = Image.fromarray(np.random.default_rng(i).integers(0, 65536, (20, 20), np.uint16))
        yield f"deep-{i}.png", encoded(deep, "PNG"), DEEP


def floats(seeds: range) -> Made:
    for i in seeds:
        image = Image.fromarray(np.random.default_rng(i).random((20, 20), np.float32))
        yield f"float-{i}.tiff", encoded(image, "TIFF"), DEEP


def palettes(seeds: range) -> Made:
    """Some with transparency of which Pillow warns."""
    for i in seeds:
        image = photo(i).quantize(16)
        yield (
            f"palette-{i}.png",
            encoded(image, "PNG", transparency=bytes(range(16)) if i % 2 else 0),
            READ,
        )


def animated(seeds: range) -> Made:
    for i in seeds:
        suffix, kind = [("gif", "GIF"), ("webp", "WEBP"), ("png", "PNG")][i % 3]
        frames = [photo(100 * i + j) for j in range(1, 4)]
        yield (
            f"animated-{i}.{suffix}",
            encoded(photo(100 * i), kind, save_all=True, append_images=frames),
            READ,
        )


def other_modes(seeds: range) -> Made:
    """Two levels, grey with alpha, alpha: read, alpha cut off."""
    for i in seeds:
        yield f"mode-{i}.png", encoded(photo(i, ("1", "LA", "RGBA", "L")[i % 4]), "PNG"), READ


def bomb(width: int, height: int) -> bytes:
    """A PNG of nothing that says it is so large.

    Its pixels are there, all black, packed a thousandfold.
    """

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    packer = zlib.compressobj(1)
    row = bytes(1 + width)
    rows = b"".join(packer.compress(row) for _ in range(min(height, 500))) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def gigantic(seeds: range) -> Made:
    for i in seeds:
        side = (8_000, 12_000, 30_000, 60_000)[i % 4]
        yield f"gigantic-{i}.png", bomb(side + i, side), "too large"


def exif(seeds: range) -> Made:
    for i in seeds:
        image = photo(i)
        turned = Image.Exif()
        turned[0x0112] = 6  # lies on its side
        yield f"turned-{i}.jpg", encoded(image, "JPEG", exif=turned), READ


def no_images(seeds: range) -> Made:
    texts = [
        b"<html>404 Not Found</html>",
        b"%PDF-1.7\n%",
        b"PK\x03\x04" + bytes(60),
        b"\x7fELF" + bytes(60),
    ]
    # EPS: a program
    texts += [bytes(999), b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"]
    for i in seeds:
        yield f"error-{i}.jpg", texts[i % len(texts)] + str(i).encode(), "not an image"


def traps(seeds: range, mark: Path) -> Made:
    for i in seeds:
        suffix = ("jpg", "pickle", "pyd")[i % 3]
        yield (
            f"trap-{i}.{suffix}",
            pickle.dumps(Trap(mark)),
            "not an image" if i % 3 == 0 else "another kind of file",
        )


def sidecars(seeds: range) -> Made:
    for i in seeds:
        yield (
            f"good/{i:03d}.{('json', 'txt')[i % 2]}",
            b'{"caption": "a cat"}',
            "another kind of file",
        )


def duplicates(seeds: range) -> Made:
    """The same bytes as a good file, whose name comes first."""
    for i, (_, content, _) in zip(seeds, good(seeds), strict=True):
        yield f"zz/copy of {i}.dat", content, "duplicate"


def odd_names(seeds: range) -> Made:
    names = [
        "ünï çødé/日本語 {i}.jpg",
        "new\nline {i}.jpg",
        "no suffix {i}",
        "{i}" + "x" * 200 + ".jpg",
    ]
    names += [
        "-rf {i}.JPG",
        "photo {i}.jpg.large",
        "bad \udcff\udcfe bytes {i}.jpg",
        " {i} .jpg",
        "..{i}.jpg",
    ]
    names += ["a/b/c/d/e/{i}/x.y.jpg"]
    for i in seeds:
        yield names[i % len(names)].format(i=i), encoded(photo(5000 + i), "JPEG"), READ


def bits_flipped(seeds: range) -> Made:
    """Read or not, whatever the decoder says; the reason is not known beforehand."""
    for i in seeds:
        suffix, kind = [
            ("jpg", "JPEG"),
            ("png", "PNG"),
            ("gif", "GIF"),
            ("webp", "WEBP"),
            ("tif", "TIFF"),
        ][i % 5]
        whole = bytearray(encoded(photo(7000 + i), kind))
        rng = np.random.default_rng(i)
        for place in rng.integers(0, len(whole), 1 + i % 12):
            whole[place] ^= 1 << int(rng.integers(8))
        yield f"flipped-{i}.{suffix}", bytes(whole), "?"


def every_file(mark: Path) -> Made:
    """300 files of 18 kinds. `mark`: what a trap writes if it is sprung."""
    kinds: list[tuple[Callable[[range], Made], int]] = [
        (good, 60),
        (truncated, 24),
        (damaged, 10),
        (empty, 8),
        (cmyk, 10),
        (sixteen_bits, 8),
        (floats, 4),
        (palettes, 10),
        (animated, 12),
        (other_modes, 12),
        (gigantic, 12),
        (exif, 6),
        (no_images, 24),
        (sidecars, 16),
        (duplicates, 12),
        (odd_names, 20),
        (bits_flipped, 43),
    ]
    for kind, count in kinds:
        yield from kind(range(count))
    yield from traps(range(9), mark)


def write(folder: Path, mark: Path) -> dict[bytes, str]:
    expected = {}
    for name, content, reason in every_file(mark):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        expected[os.fsencode(name)] = reason
    return expected
