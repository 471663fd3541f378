"""The task's own training images as a pool, for baselines that are not data-free.

Legend: N images, H height, W width, C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dfkd.data.importing.shards import ImageShape, Shard, content_digest, write_shard, written_shard
from dfkd.data.pools.sharded import ShardedPool
from dfkd.data.tasks import Digits, Task
from dfkd.identity import digest, spec
from dfkd.storage import Storage, StoredFile, layout

ROWS_PER_SHARD = 10_000


@dataclass(frozen=True, kw_only=True)
class TrainingImages(ShardedPool):
    """Gives the images of the task's training split, without their labels: the pool of an oracle.

    Row ids are positions in the split. The probe is held out of this pool as of every other (15 %,
    at most 3,000 rows), so a student learns from 85 % of digits' and 94 % of CIFAR's training
    images: the ceiling is stated a little too low.
    Source: the task.
    Range: it has one draw, 0.
    Interplay: the probe lies in this pool too, so its agreement cannot be compared with that on
    another pool; compare by validation and test. With `OriginalLabels` in place of KD it is
    ordinary supervised training.
    """

    version: ClassVar[int] = 1
    task: Task

    @classmethod
    def example(cls) -> Self:
        return cls(task=Digits())

    def check(self, image_shape: ImageShape) -> None:
        """Raise ValueError for another task's shape, and for a task without training images."""
        self.task.require("train")
        if tuple(image_shape) != tuple(self.task.image_shape):
            raise ValueError(
                f"the pool must hold the experiment's own task, but got {image_shape=} and "
                f"{self.task}"
            )

    @property
    def shard_count(self) -> int:
        return -(-len(self.task.train()) // ROWS_PER_SHARD)

    def missing(self, image_shape: ImageShape, storage: Storage, draw: int = 0) -> Sequence[int]:
        self._check(image_shape, draw)
        files = [self._part(i, storage)[0] for i in range(self.shard_count)]
        return [i for i, file in enumerate(files) if not file.exists()]

    def make_shard(
        self, index: int, image_shape: ImageShape, storage: Storage, draw: int = 0
    ) -> Shard:
        """Return one shard; it is hashed again, and written where it is not there."""
        self._check(image_shape, draw)
        file, row_id_N, images_NHWC = self._part(index, storage)
        if file.exists():
            return written_shard(file)
        return write_shard(file, row_id_N, images_NHWC)

    def _check(self, image_shape: ImageShape, draw: int) -> None:
        if draw != 0:
            raise ValueError(
                f"training images are one draw, 0, but got {draw=}; vary the seed or the teacher"
            )
        self.check(image_shape)

    def _part(
        self, index: int, storage: Storage
    ) -> tuple[StoredFile, NDArray[np.int64], NDArray[np.uint8]]:
        """Return where a shard lies, its row ids and its images; its content names the file."""
        start = index * ROWS_PER_SHARD
        images_NHWC = self.task.train().images[start : start + ROWS_PER_SHARD]
        row_id_N = start + np.arange(len(images_NHWC), dtype=np.int64)
        name = layout.training_shard(index, content_digest(row_id_N, images_NHWC))
        return (
            storage.file(layout.pool(f"training-{digest(spec(self))}") / name),
            row_id_N,
            images_NHWC,
        )

    def labels(self, row_id_N: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the labels of these rows. Only the baseline on original labels may ask."""
        return self.task.train().labels[row_id_N]
