"""A Parquet pool on its way into the storage: copied if far away, decoded if encoded.

H height, W width, C channels.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfkd.data.images import decoding
from dfkd.data.images.decoding import ImageShape
from dfkd.data.importing.builder import PoolBuilder, first_of_each, spaced
from dfkd.data.importing.columns import read_first
from dfkd.data.importing.places import Place
from dfkd.data.importing.records import entry_of, intact, shard_of, sizes_in
from dfkd.data.importing.rejects import SetAside, join_rejects, write_rejects
from dfkd.data.importing.shards import PoolFiles, Shard, rows_of
from dfkd.data.importing.sources import rows_per_shard
from dfkd.data.pools.parquet_columns import ImageColumn, image_column
from dfkd.data.pools.parquet_decoding import decode_file, decoded_images
from dfkd.data.pools.parquet_files import digest_at_shape, remembered, sha256
from dfkd.storage import Storage, StoredFile, layout


@dataclass(frozen=True)
class Copying:
    """A file of an object store that is to be copied into the storage."""

    file: StoredFile


@dataclass(frozen=True)
class Decoding:
    """A file that becomes a shard; its digest tells its content and the shape that is wanted."""

    file: StoredFile
    digest: str
    column: ImageColumn

    def key(self, most_pixels: int, keep_encoded: bool) -> str:
        """Return the name of the shard, without its ending."""
        kept = " encoded" if keep_encoded else ""
        return sha256(f"{self.digest} {most_pixels} {decoding.VERSION}{kept}")[:20]


@dataclass(frozen=True, kw_only=True)
class ParquetBuilder(PoolBuilder):
    """Copies and decodes the files of a Parquet pool as far as that is needed.

    files_there: the user's own, or their copies in the storage. memory: what is known of them.
    """

    place: Place
    files_there: tuple[StoredFile, ...]
    folder: Storage
    memory: StoredFile
    image_shape: ImageShape
    most_pixels: int
    most_rejected: float
    column: str = ""
    keep_encoded: bool = False

    def rounds(self) -> Iterator[Sequence[Copying | Decoding]]:
        yield [Copying(file) for file in self.files_there if not file.exists()]
        found = [one for one in self._files() if isinstance(one, Decoding)]
        sizes = sizes_in(self.folder) if found else {}
        yield [one for one in found if self._record(one, sizes) is None]

    def make(self, step: Copying | Decoding) -> None:
        if isinstance(step, Decoding):
            self._decode(step)
        else:
            step.file.replace(lambda half: self._copy(step.file.name.encode(), half))

    def finish(self) -> PoolFiles:
        """Return the pool. ValueError where rows are numbered twice or too much is unreadable."""
        files = self._files()
        shards, counts, sizes = list[Shard](), Counter[str](), sizes_in(self.folder)
        for one in files:
            if isinstance(one, Shard):
                shards.append(one)
                continue
            record = self._record(one, sizes)
            assert record is not None  # all steps were made
            shards.append(shard_of(record["shards"][0], self.folder))
            counts.update(record["counts"])
        decoded = [one for one in files if isinstance(one, Decoding)]
        set_aside = self._set_aside(decoded, counts) if decoded else None
        pool = PoolFiles(tuple(shard for shard in shards if shard.rows), set_aside)
        if set_aside is not None:
            set_aside.check(pool.rows, self.most_rejected)
        return pool

    def sample(self, most: int) -> NDArray[np.uint8]:
        parts = [self._readable(self.files_there[i]) for i in spaced(len(self.files_there))]
        return first_of_each(parts, most, self.image_shape)

    def _readable(self, file: StoredFile) -> Iterator[NDArray[np.uint8]]:
        """Yield images (H, W, C) of one file, of raw ones those of a shard's size."""
        if not file.exists():
            self.make(Copying(file))
        path = file.path
        column = image_column(path, self.image_shape, self.column)
        if not column.is_shard:
            yield from decoded_images(path, column, self.image_shape, self.most_pixels)
        else:
            yield from read_first(path, self.image_shape, rows_per_shard(self.image_shape))

    def _copy(self, name: bytes, half: Path) -> None:
        with self.place.open(name) as source, half.open("wb") as target:
            shutil.copyfileobj(source, target)

    def _files(self) -> list[Shard | Decoding]:
        """Return each file as the shard that it is, or as one that is to be decoded."""
        entries = remembered(self.memory, self.files_there)
        files: list[Shard | Decoding] = []
        for file in self.files_there:
            path, entry = file.path, entries[file.name]
            column = image_column(path, self.image_shape, self.column)
            digest = digest_at_shape(path, entry["bytes_digest"], self.image_shape, column.identity)
            if column.is_shard:
                files.append(Shard(file, digest, entry["rows"]))
            else:
                files.append(Decoding(file, digest, column))
        return files

    def _file(self, step: Decoding, named: Callable[[str], str]) -> StoredFile:
        return self.folder.file(named(step.key(self.most_pixels, self.keep_encoded)))

    def _record(self, step: Decoding, sizes: Mapping[str, int]) -> dict[str, Any] | None:
        return intact(self.folder, self._file(step, layout.part_record).name, sizes)

    def _decode(self, step: Decoding) -> None:
        file = self._file(step, layout.part_shard)
        rejects, lost = decode_file(
            step.file.path, file, step.column, self.image_shape, self.most_pixels, self.keep_encoded
        )
        # the same digest as ever where all could be read; what was left out makes another pool
        digest = step.digest if not lost else sha256(f"{step.digest} without {lost}")
        write_rejects(self._file(step, layout.part_rejects), rejects)
        shard = Shard(file, digest, rows_of(file))
        counts = Counter(reason for _, reason, _ in rejects)
        record = {"shards": [entry_of(shard)], "counts": counts}
        self.folder.write_json(self._file(step, layout.part_record).key, record)

    def _set_aside(self, decoded: Sequence[Decoding], counts: Counter[str]) -> SetAside:
        """Return the table of all files' rejects, joined where that was not done before."""
        key = sha256(repr([self._file(one, layout.part_record).name for one in decoded]))[:20]
        file = self.folder.file(layout.pool_rejects(key))
        if not file.exists():
            join_rejects(file, (self._file(one, layout.part_rejects) for one in decoded))
        return SetAside(file, tuple(sorted(counts.items())))
