"""Image folders as pools: trees of image files, here or in an object store, in whatever state."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Self

import pyarrow as pa
import pyarrow.parquet as pq

from dfkd.data.images.decoding import MOST_PIXELS, Rejected, check_kind
from dfkd.data.importing.companions import is_companion
from dfkd.data.importing.importer import Importer
from dfkd.data.importing.places import Entry, Place, place_of, walk
from dfkd.data.importing.shards import ImageShape
from dfkd.data.importing.sources import (
    Item,
    check_limits,
    check_pool,
    part_key,
    row_id_of,
    rows_per_shard,
)
from dfkd.data.pools.pool import BasePool
from dfkd.identity import limit, location
from dfkd.storage import Storage, StoredFile, layout

LISTING = pa.schema(
    [
        ("name", pa.binary()),
        ("size", pa.int64()),
        ("stamp", pa.int64()),
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)


@dataclass(frozen=True, kw_only=True)
class ImageFolder(BasePool):
    """Reads all images below a folder, converted and resized to the task's shape.

    Row ids: a hash of the file's name below the folder, so that adding and removing others
    renumbers nothing, and the same tree packed into tars has the same ids. Order: by name. Of files
    with the same bytes the first is kept. What cannot be read is set aside with its reason, in a
    table in the storage; where that is a larger share than `most_rejected`, nothing is computed.
    Hidden files and what systems leave beside images (companions.py) are passed over.
    Duplicates, and what is named as another kind of file (.json, .txt, .pickle, never opened), do
    not count for that. Nothing is executed; decoding.py says how images are read.
    Range: path, a folder that every node can read, or a URI (s3://, gs://, hdfs://, file://, what
    fsspec knows) without credentials. most_pixels: larger images are not decoded; 20 bytes of
    memory for each. One draw, 0. keep_encoded: the storage keeps the files' bytes and not their
    pixels, which are decoded each time they are read: for images so large that pixels of all of
    them would be too many (at 224 x 224, 150 GB a million). Results are the same.
    Interplay: files are known again by name, size and time of change; the pool's identity is its
    pixels.
    """

    version: ClassVar[int] = 1
    path: str = location()
    most_pixels: int = MOST_PIXELS
    most_rejected: float = limit(0.5)
    keep_encoded: bool = limit(False)

    @classmethod
    def example(cls) -> Self:
        return cls(path="folder")

    def __post_init__(self) -> None:
        check_limits(self.path, self.most_pixels, self.most_rejected)

    def check(self, image_shape: ImageShape) -> None:
        """Raise ValueError where there is no such folder; its files are looked at later."""
        check_pool(image_shape)
        listable(self.path)

    def builder(self, image_shape: ImageShape, storage: Storage, draw: int = 0) -> Importer:
        check_pool(image_shape, draw)
        place = listable(self.path)
        folder = storage.below(
            layout.pool(f"folder-{hashlib.sha256(repr(place).encode()).hexdigest()[:16]}")
        )
        listing, contents = _write_listing(folder, walk(place), rows_per_shard(image_shape))
        return Importer(
            source=_Files(place, listing, self.most_pixels),
            keys=tuple(
                part_key(content, image_shape, self.most_pixels, self.keep_encoded)
                for content in contents
            ),
            folder=folder,
            image_shape=image_shape,
            most_pixels=self.most_pixels,
            most_rejected=self.most_rejected,
            keep_encoded=self.keep_encoded,
        )


@dataclass(frozen=True)
class _Files:
    """The files of a listing as a source; its row groups are the parts."""

    place: Place
    listing: StoredFile
    most_pixels: int

    def items(self, part: int) -> Iterator[Item]:
        for row in pq.ParquetFile(self.listing.path).read_row_group(part).to_pylist():
            entry = Entry(**row)
            if not is_companion(entry.name):  # here, as each shard begins where it always did
                yield Item(entry.name, row_id_of(entry.name), partial(self._read, entry))

    def _read(self, entry: Entry) -> bytes:
        if entry.reason:
            raise Rejected(entry.reason, entry.detail)
        check_kind(entry.name, entry.size, self.most_pixels)
        with self.place.open(entry.name) as file:
            return bytes(file.read(entry.size))


def listable(path: str) -> Place:
    """Return the place of a path. Raises ValueError where it is no folder that can be listed."""
    place = place_of(path)
    try:
        place.children(b"", set())
    except OSError as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        what = "which is not a folder" if missing else error.strerror or str(error)
        raise ValueError(
            f"path must be a folder that can be listed, but got {path}, {what}; mend path"
        ) from error
    return place


def _write_listing(
    folder: Storage, entries: Iterator[Entry], rows: int
) -> tuple[StoredFile, list[str]]:
    """Write a Parquet file with `rows` files in each row group, once for each state of the folder.

    Returns it and a digest of what may be images in each group.
    """
    contents = []
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "listing"
        with pq.ParquetWriter(path, LISTING, compression="zstd") as writer:
            while some := tuple(islice(entries, rows)):
                writer.write_table(_table(some))
                images = tuple(entry for entry in some if not is_companion(entry.name))
                contents.append(hashlib.sha256(repr(images).encode()).hexdigest())
        name = layout.listing(hashlib.sha256("".join(contents).encode()).hexdigest()[:20])
        listing = folder.file(name)
        if not listing.exists():
            listing.replace(lambda half: copyfile(path, half))
    return listing, contents


def _table(entries: Any) -> pa.Table:
    columns = zip(*entries, strict=True)
    return pa.table(
        [pa.array(c, f.type) for c, f in zip(columns, LISTING, strict=True)], schema=LISTING
    )
