"""The embedded pool: characters of bundled fonts and crops of two photographs.

Nothing is downloaded. Legend: N rows, H height, W width, C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dfkd.data.importing.records import entry_of, intact, shard_of
from dfkd.data.importing.shards import ImageShape, PoolFiles, Shard, write_shard, written_shard
from dfkd.data.pools.drawing import draw_row
from dfkd.data.pools.sharded import ShardedPool
from dfkd.identity import digest, spec
from dfkd.storage import Storage, StoredFile, layout
from dfkd.storage.layout import Key

# A constant, not a field: a larger pool begins with the shards, and so the teacher's cached
# answers, of a smaller.
ROWS_PER_SHARD = 2_500


@dataclass(frozen=True, kw_only=True)
class Glyphs(ShardedPool):
    """Draws distorted digits (28 %), letters (34 %) and symbols (23 %), and crops of photographs.

    Crops are 15 %. Each row is drawn at 48x48, distorted, averaged down to half the task's
    resolution (in 15 % of the
    rows: to the full one) and resized up again, since the embedded task's digits have half the
    resolution of their pixels. Row i of draw d depends on (d, i) alone: a larger pool begins with
    the rows of a smaller one.
    Source: fonts bundled with matplotlib (DejaVu, STIX, Computer Modern), photographs bundled with
    scikit-learn. Pixels may differ between versions of these and of Pillow: the digest tells, and
    is part of every identity.
    Range: rows 100 to 10,000,000. Images of 8 to 128 pixels a side and 1 or 3 channels (three equal
    ones).
    Interplay: designed once for digits at 16x16, by looking; not tuned on any result of a
    distillation.
    """

    version: ClassVar[int] = 1
    rows: int = 20_000

    def __post_init__(self) -> None:
        if not 100 <= self.rows <= 10_000_000:
            raise ValueError(f"rows must be 100 to 10,000,000, but got rows={self.rows!r}")

    @property
    def shard_count(self) -> int:
        return -(-self.rows // ROWS_PER_SHARD)

    def check(self, image_shape: ImageShape) -> None:
        _check(image_shape)

    def missing(self, image_shape: ImageShape, storage: Storage, draw: int = 0) -> Sequence[int]:
        folder = storage.below(self.place(image_shape, draw))
        return range(self.shard_count) if _finished(folder) is None else ()

    def files(self, image_shape: ImageShape, storage: Storage, draw: int = 0) -> PoolFiles:
        """Return the shards, drawn where they are missing; the manifest comes last."""
        folder = storage.below(self.place(image_shape, draw))
        finished = _finished(folder)
        if finished is None:
            finished = super().files(image_shape, storage, draw)
            _write_manifest(folder, finished.shards)
        return finished

    def make_shard(
        self, index: int, image_shape: ImageShape, storage: Storage, draw: int = 0
    ) -> Shard:
        """Draw one shard, or return it if an earlier call has finished it.

        Several processes may each make some shards, and one of them then call `files`.
        """
        folder = storage.below(self.place(image_shape, draw))
        file = folder.file(layout.drawn_shard(index))
        start, stop = self._range_of(index)
        kept = _intact(file, image_shape, stop - start)
        if kept is not None:
            return kept
        row_id_N, images_NHWC, characters = self.render_shard(index, image_shape, draw)
        return write_shard(file, row_id_N, images_NHWC, characters)

    def render_shard(
        self, index: int, image_shape: ImageShape, draw: int = 0
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8], list[str]]:
        """Return row ids [N], images [N, H, W, C] and characters of a shard, in memory."""
        _check(image_shape, draw)
        start, stop = self._range_of(index)
        images_NHWC = np.empty((stop - start, *image_shape), dtype=np.uint8)
        characters = []
        for row in range(start, stop):
            generator = np.random.Generator(
                np.random.PCG64(np.random.SeedSequence([self.version, draw, row]))
            )
            images_NHWC[row - start], character = self.draw_row(generator, image_shape)
            characters.append(character)
        return np.arange(start, stop, dtype=np.int64), images_NHWC, characters

    def draw_row(
        self, generator: np.random.Generator, image_shape: ImageShape
    ) -> tuple[NDArray[np.uint8], str]:
        """Return an image [H, W, C] and what it shows; a pool that adds others overrides this."""
        return draw_row(generator, image_shape)

    def place(self, image_shape: ImageShape, draw: int = 0) -> Key:
        """Return where the pool lies, for a class that draws other rows in a place of its own.

        Raises ValueError for an impossible shape or draw.
        """
        _check(image_shape, draw)
        size = "x".join(map(str, image_shape))
        other = "" if type(self) is Glyphs else f"{digest(spec(self))}-"
        return layout.pool(f"{other}glyphs-v{self.version}-{self.rows}-{size}-draw{draw}")

    def _range_of(self, index: int) -> tuple[int, int]:
        if not 0 <= index < self.shard_count:
            raise ValueError(f"index must be 0 to {self.shard_count - 1}, but got {index=}")
        return index * ROWS_PER_SHARD, min((index + 1) * ROWS_PER_SHARD, self.rows)


def _check(image_shape: ImageShape, draw: int = 0) -> None:
    height, width, channels = image_shape
    if not (8 <= height <= 128 and 8 <= width <= 128 and channels in (1, 3)):
        raise ValueError(
            "glyphs are drawn at 8 to 128 pixels a side with 1 or 3 channels (H, W, C), but got "
            f"{image_shape=}; bring a pool of your own with ParquetPool(path=...)"
        )
    if draw < 0:
        raise ValueError(f"draw must be 0 or more, but got {draw=}")


def _finished(folder: Storage) -> PoolFiles | None:
    """Return what the manifest lists, or None unless all of that is there in its size."""
    manifest = intact(folder, layout.POOL_MANIFEST)
    if manifest is None:
        return None
    return PoolFiles(tuple(shard_of(entry, folder) for entry in manifest["shards"]))


def _write_manifest(folder: Storage, shards: tuple[Shard, ...]) -> None:
    manifest = {"digest": PoolFiles(shards).digest, "shards": [entry_of(s) for s in shards]}
    folder.write_json(Key(layout.POOL_MANIFEST), manifest)


def _intact(file: StoredFile, image_shape: ImageShape, rows: int) -> Shard | None:
    """Return the file's shard if it holds what was written into it, else None.

    Its content is hashed again for that: a file that was interrupted is not trusted.
    """
    try:
        found = written_shard(file)
        found.read(image_shape)
    except (ValueError, OSError, KeyError, TypeError):  # not there, cut off or overwritten
        return None
    return found if found.rows == rows else None
