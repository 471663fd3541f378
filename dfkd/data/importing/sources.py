"""Sources: what lies outside a storage, as parts whose items are read one after the other.

H height, W width, C channels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image

from dfkd.data.images import decoding
from dfkd.data.images.decoding import PIL_MODES, ImageShape
from dfkd.data.importing.places import check_path

VERSION = 1  # raised when shards or records are written otherwise
SHARD_BYTES, MOST_ROWS, LEAST_ROWS = 2**26, 10_000, 256  # of pixels; one shard is in memory


@dataclass(frozen=True)
class Item:
    """One thing in a source.

    `read` gives its bytes or an opened image, and raises Rejected or OSError.
    """

    name: bytes
    row_id: int
    read: Callable[[], bytes | Image.Image]


class Source(Protocol):
    """What an Importer reads; it travels to the processes that import its parts."""

    def items(self, part: int) -> Iterator[Item]:
        """Yield the items of a part in the order of the rows."""


def check_limits(path: str, most_pixels: int, most_rejected: float) -> None:
    """Raise ValueError in one line for fields that cannot be meant."""
    if not path:
        raise ValueError(f"path must name a folder, here or below a URI, but got {path=}")
    check_path(path)
    if most_pixels < 1 or not 0 <= most_rejected <= 1:
        raise ValueError(
            "most_pixels must be 1 or more and most_rejected a share, 0 to 1, but got "
            f"{most_pixels=}, {most_rejected=}"
        )


def check_pool(image_shape: ImageShape, draw: int = 0) -> None:
    """Raise ValueError in one line where nothing outside can be a pool of this shape and draw."""
    if draw != 0:
        raise ValueError(
            f"a folder holds one draw, 0, but got {draw=}; make each draw a folder and a pool of "
            "its own"
        )
    if image_shape[2] not in PIL_MODES:
        raise ValueError(
            f"images must have one of {sorted(PIL_MODES)} channels (H, W, C), but got "
            f"{image_shape=}"
        )


def rows_per_shard(image_shape: ImageShape) -> int:
    """Return how many images of this shape (H, W, C) go into one shard."""
    return int(np.clip(SHARD_BYTES // np.prod(image_shape), LEAST_ROWS, MOST_ROWS))


def row_id_of(name: bytes) -> int:
    """Return 63 bits of a hash: adding and removing other items renumbers nothing."""
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "big") >> 1


def part_key(
    content: str, image_shape: ImageShape, most_pixels: int, keep_encoded: bool = False
) -> str:
    """Return the key of a part with this content; at another size it is imported anew."""
    kept = ("encoded",) if keep_encoded else ()
    told_apart = (VERSION, decoding.VERSION, tuple(image_shape), most_pixels, content, *kept)
    return hashlib.sha256(repr(told_apart).encode()).hexdigest()[:20]


def shown(name: bytes) -> str:
    """Return a name as text; what is not UTF-8 is escaped."""
    return name.decode("utf-8", "backslashreplace")
