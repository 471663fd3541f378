"""The importer: a source becomes raw shards in the storage and a table of what is set aside.

A source is divided into parts. Each is imported by itself, in any process and order, and found
again by its key; then all but the first of equal rows are taken out. H height, W width, C channels.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dfkd.data.images.decoding import ImageShape, Rejected
from dfkd.data.importing.builder import PoolBuilder, first_of_each, spaced
from dfkd.data.importing.encoded import encoded_rows
from dfkd.data.importing.records import entry_of, entry_without_repeats, intact, shard_of, sizes_in
from dfkd.data.importing.rejects import Reject, SetAside, join_rejects, write_rejects
from dfkd.data.importing.repeats import Repeats, find_repeats
from dfkd.data.importing.rows import Rows, readable_images
from dfkd.data.importing.samples import note, several_images
from dfkd.data.importing.shards import PoolFiles, Shard, write_shard, written_shard
from dfkd.data.importing.sources import Source, shown
from dfkd.storage import Storage, StoredFile, layout
from dfkd.storage.layout import Key


@dataclass(frozen=True, kw_only=True)
class Importer(PoolBuilder):
    """Imports a source into `folder`.

    keys: one for each part of the source, another one where the part has other content.
    by_sample: whether samples with several images are counted, for a note. keep_encoded: whether
    shards keep the bytes that are read in the place of pixels; the pool is the same.
    """

    source: Source
    keys: tuple[str, ...]
    folder: Storage
    image_shape: ImageShape
    most_pixels: int
    most_rejected: float
    by_sample: bool = False
    keep_encoded: bool = False

    def rounds(self) -> Iterator[Sequence[int | Repeats]]:
        if self._manifest() is not None:
            return
        sizes = sizes_in(self.folder)
        yield [part for part in range(len(self.keys)) if self._record(part, sizes) is None]
        there = sizes_in(self.folder)
        yield [repeats for repeats in self._repeats()[0] if repeats.rest not in there]

    def make(self, step: int | Repeats) -> None:
        if isinstance(step, Repeats):
            self._leave_out(step)
        else:
            self._import(step)

    def finish(self) -> PoolFiles:
        """Return the pool. ValueError where too much of it cannot be read."""
        manifest = self._manifest() or self._write_manifest()
        shards = tuple(shard_of(entry, self.folder) for entry in manifest["shards"])
        together = manifest.get("together", {})  # absent where it was imported before they were
        set_aside = SetAside(
            self._rejected, tuple(sorted(manifest["counts"].items())), note(together)
        )
        pool = PoolFiles(shards, set_aside)
        set_aside.check(pool.rows, self.most_rejected)
        return pool

    def sample(self, most: int) -> NDArray[np.uint8]:
        parts = [
            readable_images(self.source.items(part), self.image_shape, self.most_pixels)
            for part in spaced(len(self.keys))
        ]
        return first_of_each(parts, most, self.image_shape)

    # ---- one part

    def _import(self, part: int) -> None:
        """Write the shards of a part, what is set aside of it, and last the record of all that."""
        shards: list[Shard] = []
        rejects: list[Reject] = []
        rows = Rows(self.image_shape, self.most_pixels, self.keep_encoded)
        names: list[str] = []
        for item in self.source.items(part):
            try:
                rows.add(item)
                names += [shown(item.name)] if self.by_sample else []
            except Rejected as why:
                rejects.append((shown(item.name), why.reason, why.detail))
            if rows.full:
                shards.append(rows.write(self._shard(part, len(shards))))
        if len(rows):
            shards.append(rows.write(self._shard(part, len(shards))))
        key = self.keys[part]
        write_rejects(self.folder.file(layout.part_rejects(key)), rejects)
        counts = Counter(reason for _, reason, _ in rejects)
        record = {"shards": [entry_of(shard) for shard in shards], "counts": counts}
        record |= {"together": several_images(names)} if self.by_sample else {}
        self.folder.write_json(Key(layout.part_record(key)), record)

    def _shard(self, part: int, index: int) -> StoredFile:
        return self.folder.file(layout.imported_shard(self.keys[part], index))

    def _record(self, part: int, sizes: Mapping[str, int]) -> dict[str, Any] | None:
        return intact(self.folder, layout.part_record(self.keys[part]), sizes)

    # ---- all parts

    @property
    def _key(self) -> str:
        return hashlib.sha256("".join(self.keys).encode()).hexdigest()[:20]

    @property
    def _rejected(self) -> StoredFile:
        return self.folder.file(layout.pool_rejects(self._key))

    def _manifest(self) -> dict[str, Any] | None:
        sizes = sizes_in(self.folder)
        if self._rejected.name not in sizes:
            return None
        return intact(self.folder, layout.pool_manifest(self._key), sizes)

    def _records(self) -> list[dict[str, Any]]:
        sizes = sizes_in(self.folder)
        records = [self._record(part, sizes) for part in range(len(self.keys))]
        return [record for record in records if record is not None]

    def _write_manifest(self) -> dict[str, Any]:
        repeats, rejects = self._repeats()
        rest = {repeat.shard: repeat.rest for repeat in repeats}
        records = self._records()
        entries = [
            entry_without_repeats(self.folder, entry, rest)
            for record in records
            for entry in record["shards"]
        ]
        counts, together = Counter(reason for _, reason, _ in rejects), Counter[str]()
        for record in records:
            counts.update(record["counts"])
            together.update(record.get("together", {}))
        parts = (self.folder.file(layout.part_rejects(key)) for key in self.keys)
        join_rejects(self._rejected, parts, rejects)
        manifest = {"shards": [entry for entry in entries if entry["rows"]], "counts": counts}
        manifest |= {"together": together} if together else {}
        self.folder.write_json(Key(layout.pool_manifest(self._key)), manifest)
        return manifest

    def _repeats(self) -> tuple[list[Repeats], list[Reject]]:
        names = [entry["file"] for record in self._records() for entry in record["shards"]]
        return find_repeats(self.folder, names)

    def _leave_out(self, repeats: Repeats) -> None:
        shard = written_shard(self.folder.file(repeats.shard))
        row_id_N, images_NHWC = shard.read(self.image_shape)
        keep = np.setdiff1d(np.arange(len(row_id_N)), repeats.rows)
        known = pq.read_table(shard.path, columns=["name", "content"]).take(keep).combine_chunks()
        columns = {name: known[name].combine_chunks() for name in known.column_names}
        write_shard(
            self.folder.file(repeats.rest),
            row_id_N[keep],
            images_NHWC[keep],
            columns=columns,
            encoded=encoded_rows(shard.path, keep) if self.keep_encoded else None,
        )
