"""A network that some shards make fail: by an error of the system, or by the end of its process.

The first pixel of the first image in a batch says what happens.
"""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from dfkd.data.importing.shards import write_shard
from dfkd.data.pools import ParquetPool
from dfkd.data.tasks import Digits
from dfkd.execution.compute import Compute
from dfkd.experiment import Cell, Experiment
from dfkd.models.teachers import ModuleTeacher
from dfkd.seeding import Block

FAILS, KILLS, KILLS_ONCE = 250, 251, 252
ROWS = 300  # of a shard: more than a batch


class Moody(nn.Module):
    """folder: where it notes what it has done once."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder = folder
        self.flat = nn.Flatten()
        torch.manual_seed(0)
        self.head = nn.Linear(256, 10)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        pixel = float(images_BCHW[0, 0, 0, 0])
        first = round(255 * (pixel * Digits.std[0] + Digits.mean[0]))
        if first in (FAILS, KILLS, KILLS_ONCE):
            attempts = len(list(Path(self.folder).glob(f"{first}-*")))
            (Path(self.folder) / f"{first}-{attempts}").touch()
            if first == FAILS:
                raise OSError(5, "the device does not answer")
            if first == KILLS or attempts == 0:
                os._exit(1)
        logits_BK: Tensor = self.head(self.flat(images_BCHW))
        return logits_BK


class PretendedGpu(Compute):
    """Asks Ray for GPUs, and computes on the CPU."""

    @property
    def device(self) -> str:
        return "cpu"


def pool_of(folder: Path, first_pixels: list[int]) -> Path:
    """Write a shard for each first pixel of its first image."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index, pixel in enumerate(first_pixels):
        images_NHWC = rng.integers(0, 200, (ROWS, 16, 16, 1), dtype=np.uint8)
        images_NHWC[0, 0, 0, 0] = pixel
        write_shard(folder / f"{index}.parquet", ROWS * index + np.arange(ROWS), images_NHWC)
    return folder


def cell_of(tiny: Experiment, pool: Path, notes: Path) -> Cell:
    teacher = ModuleTeacher(module=Moody(str(notes)))
    experiment = replace(tiny, pool=ParquetPool(path=str(pool)), teacher=teacher)
    return Cell(experiment=experiment, block=Block(seed=0))
