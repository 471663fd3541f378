"""Pools whose images are made from the teacher alone: once for each teacher and draw, then kept.

N images, B batch, H height, W width, C channels.
"""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfkd.data.importing.builder import PoolBuilder, sample_of_shards
from dfkd.data.importing.records import entry_of, intact, shard_of
from dfkd.data.importing.shards import ImageShape, PoolFiles, write_shard
from dfkd.data.pools import BasePool, Pool
from dfkd.data.tasks import Task
from dfkd.identity import digest, name_of, spec
from dfkd.models.networks import Network
from dfkd.models.networks.network import Tapped
from dfkd.models.teachers import TrainedNetwork
from dfkd.storage import Storage, layout
from dfkd.storage.layout import Key

ROWS_PER_SHARD, MOST_ROWS = 10_000, 10_000_000
SMALLEST, LARGEST = 8, 128  # pixels a side


class Synthesised(BasePool):
    """A pool that the experiment's own teacher gives: a kind of it defines `synthesise`.

    It cannot be made without that teacher, so not as a part of a mixture.
    """

    @abstractmethod
    def synthesise(self, teacher: Tapped, task: Task, draw: int, device: str) -> NDArray[np.uint8]:
        """Return images [N, H, W, C], the same for the same draw on the same kind of device.

        teacher: on the device and in eval mode; its weights are not to be trained.
        """

    def check(self, image_shape: ImageShape) -> None:
        height, width, _ = image_shape
        if not (SMALLEST <= height <= LARGEST and SMALLEST <= width <= LARGEST):
            raise ValueError(
                f"images are synthesised at {SMALLEST} to {LARGEST} pixels a side (H, W, C), but "
                f"got {image_shape=}"
            )

    def check_teacher(self, network: Network, task: Task) -> None:
        """Raise ValueError in one line for a teacher that cannot serve; trains nothing."""

    def builder(self, image_shape: ImageShape, storage: Storage, draw: int = 0) -> PoolBuilder:
        raise ValueError(
            f"{name_of(self)} is made from the experiment's teacher, so it must be the "
            "experiment's pool itself, but got it as a part of another one"
        )

    def builder_from(
        self,
        teacher: TrainedNetwork,
        task: Task,
        storage: Storage,
        draw: int = 0,
        device: str = "cpu",
    ) -> Synthesis:
        """Return what makes the images from this teacher. ValueError as in `check`."""
        self.check(task.image_shape)
        if draw < 0:
            raise ValueError(f"draw must be 0 or more, but got {draw=}")
        return Synthesis(self, teacher, task, storage, draw, device)


def builder_of(
    pool: Pool,
    task: Task,
    teacher: Callable[[], TrainedNetwork],
    storage: Storage,
    draw: int,
    device: str = "cpu",
) -> PoolBuilder:
    """Return what puts any pool into the storage. teacher: asked for where the pool needs it."""
    if isinstance(pool, Synthesised):
        return pool.builder_from(teacher(), task, storage, draw, device)
    return pool.builder(task.image_shape, storage, draw)


@dataclass(frozen=True)
class Synthesis(PoolBuilder):
    """Builds a synthesised pool in one step, since each image follows from those before it."""

    pool: Synthesised
    teacher: TrainedNetwork
    task: Task
    storage: Storage
    draw: int
    device: str

    def rounds(self) -> Iterator[Sequence[int]]:
        yield [0] if self._kept() is None else []

    def make(self, step: int) -> None:
        """Synthesise, write the shards, and last the record, with the seconds that it took."""
        started = time.monotonic()
        teacher = Tapped(self.teacher.build(self.task)).to(self.device).eval()
        teacher.requires_grad_(False)
        images_NHWC = self.pool.synthesise(teacher, self.task, self.draw, self.device)
        seconds = time.monotonic() - started
        folder, shards = self._folder(), []
        for index, start in enumerate(range(0, len(images_NHWC), ROWS_PER_SHARD)):
            part_NHWC = images_NHWC[start : start + ROWS_PER_SHARD]
            row_id_N = start + np.arange(len(part_NHWC), dtype=np.int64)
            shards.append(write_shard(folder.file(layout.drawn_shard(index)), row_id_N, part_NHWC))
        entries = [entry_of(shard) for shard in shards]
        record: dict[str, Any] = {"digest": PoolFiles(tuple(shards)).digest, "shards": entries}
        record |= {"seconds": seconds, "device": self.device}
        folder.write_json(Key(layout.POOL_MANIFEST), record)

    def finish(self) -> PoolFiles:
        kept = self._kept()
        if kept is None:
            self.make(0)
            kept = self._kept()
        assert kept is not None  # it was just written
        return kept

    def sample(self, most: int) -> NDArray[np.uint8]:
        """Return images of the pool, all of which are made and kept for it."""
        return sample_of_shards(
            [shard.path for shard in self.finish().shards], self.task.image_shape, most
        )

    def _folder(self) -> Storage:
        """Return where the pool lies: named by all that its images follow from."""
        parts: list[Any] = [spec(self.pool), spec(self.task), self.teacher.digest, self.draw]
        return self.storage.below(layout.pool(f"{name_of(self.pool)}-{digest(parts)}"))

    def _kept(self) -> PoolFiles | None:
        folder = self._folder()
        record = intact(folder, layout.POOL_MANIFEST)
        if record is None:
            return None
        shards = tuple(shard_of(entry, folder) for entry in record["shards"])
        return PoolFiles(shards, seconds=record["seconds"])


def check_numbers(pool: Any, **least: int) -> None:
    """Raise ValueError unless these fields are at least so much, and all others 0 or more.

    learning_rate must be above 0; rows are 10,000,000 at most.
    """
    for field in fields(pool):
        value, bound = getattr(pool, field.name), least.get(field.name, 0)
        above = field.name == "learning_rate"
        if not bound <= value < math.inf or (above and value == 0):
            said = "above 0" if above else f"{bound} or more"
            raise ValueError(f"{field.name} must be {said}, but got {field.name}={value!r}")
    if pool.rows > MOST_ROWS:
        raise ValueError(f"rows must be {MOST_ROWS:,} at most, but got rows={pool.rows!r}")


def check_finite(loss: float) -> None:
    """Raise ValueError in one line where a synthesis has diverged."""
    if not math.isfinite(loss):
        raise ValueError(
            f"the synthesis has diverged, its loss is {loss}: lower the pool's learning_rate"
        )


def normalised(images_BCHW: Tensor, task: Task) -> Tensor:
    """Return images in [0, 1] as the teacher is given them; gradients pass."""
    mean, std = (images_BCHW.new_tensor(v).view(1, -1, 1, 1) for v in (task.mean, task.std))
    return (images_BCHW - mean) / std


def pixels(images_BCHW: Tensor) -> NDArray[np.uint8]:
    """Return images in [0, 1] as they are stored, [B, H, W, C]."""
    stored_BHWC = (images_BCHW.detach() * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    return np.ascontiguousarray(stored_BHWC.cpu().numpy())
