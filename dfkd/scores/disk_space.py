"""How many bytes scores and their memory map will take, said before they are written.

A disk that is too small is one line. N rows, K classes, D feature width.
"""

import shlex
import shutil
from dataclasses import dataclass

import numpy as np

from dfkd.data.pools import PoolFiles
from dfkd.data.tasks import Task
from dfkd.models.networks import classifier_head
from dfkd.models.teachers import TrainedNetwork
from dfkd.scores import missing_shards
from dfkd.scores.memory_map import maps_images, memory_map_key
from dfkd.scores.top_k import TopK
from dfkd.storage import Storage, layout
from dfkd.storage.files import size

OTHERS = 8 + 8 + 3 * 4  # row id, pseudo-label, confidence, entropy, margin
MANY_CLASSES, SUGGESTED = 100, TopK(k=10)


@dataclass(frozen=True, kw_only=True)
class Need:
    """What is still to be written.

    rows: to be scored; map_rows: of the memory map, 0 where it is there.
    """

    rows: int
    map_rows: int
    classes: int
    width: int  # of features
    pixels: int  # bytes of an image
    cache: TopK | None

    @property
    def scores(self) -> int:
        """The bytes of the scores, as if nothing in them were compressed."""
        return self.rows * self._row(self.cache)

    @property
    def maps_images(self) -> bool:
        """Whether the memory map has the images too."""
        return maps_images(self.map_rows, self.pixels)

    @property
    def memory_map(self) -> int:
        """The bytes of the memory map."""
        return self.map_rows * (self._row(self.cache) + self.pixels * self.maps_images)

    def logits(self, cache: TopK | None) -> int:
        """Return the bytes of a row's logits where so many are kept."""
        return 4 * self.classes if cache is None else cache.bytes_per_row(self.classes)

    def _row(self, cache: TopK | None) -> int:
        return self.logits(cache) + 4 * self.width + OTHERS

    def line(self) -> str:
        """Return a line such as "scores: 1,281,167 rows x 1,000 classes: 5.1 GB; ..."."""
        kept = "" if self.cache is None else f", of which {self.cache.k} are kept"
        logits = size(self.rows * self.logits(self.cache))
        text = f"scores: {self.rows:,} rows x {self.classes:,} classes{kept}: {logits}"
        if self.cache is None and self.classes >= MANY_CLASSES:
            text += f"; with {_setting(SUGGESTED)}: {size(self.rows * self.logits(SUGGESTED))}"
        text += f"; with features and all else {size(self.scores)}, and a memory map of "
        text += size(self.memory_map)
        if self.maps_images:
            return text
        images = size(self.map_rows * self.pixels)
        return f"{text}; the images ({images}) stay in the pool, where each cell reads its own rows"

    def check(self, storage: Storage) -> None:
        """Raise ValueError in one line if the disk of the storage has less than that free."""
        packs = storage.cache_path(layout.PACKS)  # the larger part
        there = next(path for path in packs.parents if path.exists())
        free = shutil.disk_usage(there).free
        if self.scores + self.memory_map <= free:
            return
        fewer = (
            f", keep fewer logits with --set {_setting(SUGGESTED)}" if self.cache is None else ""
        )
        if storage.path(layout.PACKS) is None:
            where = f"the node's cache {there}"
            mend = f"set DFKD_CACHE to a folder on a larger disk{fewer}"
        else:
            where = str(storage)
            mend = (
                f"see what may go with python -m platform.clean --storage {shlex.quote(where)}"
                f"{fewer} or name another folder with --storage"
            )
        raise ValueError(f"{self.line()}, but {where} has {size(free)} free: {mend}")


def need(
    teacher: TrainedNetwork, pool: PoolFiles, task: Task, cache: TopK | None, storage: Storage
) -> Need:
    """Return what is not there yet of the scores and of the memory map made from them."""
    mapped = storage.cache_path(memory_map_key(teacher.digest, pool, task, cache)).exists()
    return Need(
        rows=sum(
            shard.rows for shard in missing_shards(storage, teacher.digest, pool, task, cache)
        ),
        map_rows=0 if mapped else pool.rows,
        classes=task.classes,
        width=classifier_head(teacher.build(task)).in_features,
        pixels=int(np.prod(task.image_shape)),
        cache=cache and cache.canonical(task.classes),
    )


def _setting(cache: TopK) -> str:
    return f"cache=top_k cache.k={cache.k}"
