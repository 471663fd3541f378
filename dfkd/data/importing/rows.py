"""Rows on their way from a source into one shard. H height, W width, C channels."""

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from dfkd.data.images.decoding import ImageShape, Rejected, decode, fitted
from dfkd.data.importing.encoded import Encoded
from dfkd.data.importing.shards import Shard, write_shard
from dfkd.data.importing.sources import Item, rows_per_shard, shown
from dfkd.storage import StoredFile


class Rows:
    """The rows of the shard that is written next."""

    def __init__(self, image_shape: ImageShape, most_pixels: int, keep_encoded: bool) -> None:
        self.image_shape, self.most_pixels = image_shape, most_pixels
        self.keep_encoded = keep_encoded
        self.most = rows_per_shard(image_shape)
        self._clear()

    def _clear(self) -> None:
        self.images: list[NDArray[np.uint8]] = []
        self.encoded: list[bytes] = []
        self.row_ids: list[int] = []
        self.contents: list[int] = []
        self.names: list[str] = []

    def __len__(self) -> int:
        return len(self.images)

    @property
    def full(self) -> bool:
        """Whether the shard has as many rows as one may have."""
        return len(self) == self.most

    def add(self, item: Item) -> None:
        """Read and resize an item. Raises Rejected where it is no image that can be used."""
        content = _read(item)
        self.images.append(_image(content, self.image_shape, self.most_pixels))
        if self.keep_encoded and isinstance(content, bytes):
            self.encoded.append(content)
        self.row_ids.append(item.row_id)
        self.contents.append(_content_hash(content))
        self.names.append(shown(item.name))

    def write(self, file: StoredFile) -> Shard:
        """Write the rows as a shard, and begin the next one."""
        columns = {
            "name": pa.array(self.names, pa.string()),
            "content": pa.array(self.contents, pa.int64()),
        }
        shard = write_shard(
            file,
            np.array(self.row_ids, np.int64),
            np.stack(self.images),
            columns=columns,
            encoded=Encoded(self.encoded, self.most_pixels) if self.encoded else None,
        )
        self._clear()
        return shard


def readable_images(
    items: Iterable[Item], image_shape: ImageShape, most_pixels: int
) -> Iterator[NDArray[np.uint8]]:
    """Yield the images (H, W, C) of the items; those that cannot be read are left out."""
    for item in items:
        try:
            yield _image(_read(item), image_shape, most_pixels)
        except Rejected:
            continue


def _read(item: Item) -> bytes | Image.Image:
    try:
        return item.read()
    except OSError as error:
        raise Rejected("unreadable", error.strerror or str(error)) from error


def _image(
    content: bytes | Image.Image, image_shape: ImageShape, most_pixels: int
) -> NDArray[np.uint8]:
    if isinstance(content, bytes):
        return decode(content, image_shape, most_pixels)
    try:
        return fitted(content, image_shape, most_pixels)
    except ValueError as error:  # a mode that cannot be converted
        raise Rejected("truncated or damaged", str(error)) from error


def _content_hash(content: bytes | Image.Image) -> int:
    """Return a hash of a file's bytes, or of an opened image's pixels: equal for repeated rows."""
    if not isinstance(content, bytes):
        content = repr((content.mode, content.size)).encode() + content.tobytes()
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "big", signed=True)
