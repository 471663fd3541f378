"""Parquet files as pools: raw pixels are read where they lie, encoded images are decoded once."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from dfkd.data.images.decoding import MOST_PIXELS
from dfkd.data.importing.places import Local
from dfkd.data.importing.shards import ImageShape
from dfkd.data.importing.sources import check_limits, check_pool
from dfkd.data.pools.image_folder import listable
from dfkd.data.pools.parquet_builder import ParquetBuilder
from dfkd.data.pools.parquet_columns import image_column
from dfkd.data.pools.parquet_files import parquet_files, sha256
from dfkd.data.pools.pool import BasePool
from dfkd.identity import later, limit, location
from dfkd.storage import Storage, file_at, layout


@dataclass(frozen=True, kw_only=True)
class ParquetPool(BasePool):
    """Reads your own folder of Parquet shards, which is never written to.

    column: the name of the one with the images: raw uint8 pixels of the task's shape in the order
    H, W, C (fixed_size_binary or lists) or encoded images (binary, also as `bytes` of a struct;
    decoding.py says how they are read). "": `image`, else one with a usual name such as `img` or
    `jpg`, else the only one that may be meant (parquet_columns.py). Paths are not followed.
    Another column, if you like, is `row_id`, int64 and unique in the pool; without it rows are
    numbered by file name and position. Images that cannot be read are set aside as in
    `ImageFolder`; duplicates are kept, rows are your choice. Raw pixels that are not
    fixed_size_binary in `image` are copied into the storage.
    Digest: of each file's bytes, computed once and remembered in the storage by name, size and time
    of change.
    Range: a folder that every node can read, or a URI without credentials, from which the files are
    copied into the storage; the files directly in it, each of a size that fits into memory when
    decoded. It has one draw, 0. keep_encoded: encoded images stay so, as in `ImageFolder`.
    Interplay: a folder's name says nothing about its images; the digest is the identity, not the
    path.
    """

    version: ClassVar[int] = 1
    path: str = location()
    most_pixels: int = later(MOST_PIXELS)
    most_rejected: float = limit(0.5)
    column: str = later("")
    keep_encoded: bool = limit(False)

    @classmethod
    def example(cls) -> Self:
        return cls(path="pool")

    def __post_init__(self) -> None:
        check_limits(self.path, self.most_pixels, self.most_rejected)

    def check(self, image_shape: ImageShape) -> None:
        """Raise ValueError where the folder is no pool of this shape, as far as footers tell."""
        check_pool(image_shape)
        place = listable(self.path)
        for name in parquet_files(place, self.path):
            if isinstance(place, Local):
                image_column(Path(place.root, name), image_shape, self.column)

    def builder(self, image_shape: ImageShape, storage: Storage, draw: int = 0) -> ParquetBuilder:
        check_pool(image_shape, draw)
        place = listable(self.path)
        files = parquet_files(place, self.path)
        told_apart = place.root if isinstance(place, Local) else self.path
        key = layout.pool(f"parquet-{sha256(told_apart)[:16]}")
        folder = storage.below(key)
        if isinstance(place, Local):
            own = tuple(file_at(Path(place.root, name)) for name in files)
            for file in own:
                image_column(file.path, image_shape, self.column)
        else:  # a copy keeps its name, by which rows are numbered
            own = tuple(
                folder.file(f"{sha256(repr(at))[:12]}/{name}") for name, at in files.items()
            )
        return ParquetBuilder(
            place=place,
            files_there=own,
            folder=folder,
            memory=storage.file(layout.pool_memory(key)),
            image_shape=image_shape,
            most_pixels=self.most_pixels,
            most_rejected=self.most_rejected,
            column=self.column,
            keep_encoded=self.keep_encoded,
        )
