"""A user's own pool, task and network pass the suites; broken ones do not."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from commands import ROOT, environment
from torch import nn

from dfkd.data.importing.shards import write_shard, written_shard
from dfkd.data.pools import BasePool, PoolFiles
from dfkd.data.tasks import BaseTask, Split
from dfkd.models.networks import BaseNetwork
from dfkd.storage import layout
from dfkd.testing import NetworkSuite, PoolSuite, TaskSuite


@dataclass(frozen=True, kw_only=True)
class Noise(BasePool):
    """Grey noise, all of it in one shard."""

    rows: int
    version: ClassVar[int] = 1

    def files(self, image_shape, storage, draw=0) -> PoolFiles:
        file = storage.file(layout.pool(f"noise-{self.rows}-{draw}") / "0.parquet")
        if not file.exists():
            rng = np.random.default_rng(draw)
            images = rng.integers(0, 256, (self.rows, *image_shape), np.uint8)
            write_shard(file, np.arange(self.rows), images)
        return PoolFiles((written_shard(file),))


@dataclass(frozen=True, kw_only=True)
class Bright(BaseTask):
    """Bright images and dark ones."""

    version: ClassVar[int] = 1
    classes: ClassVar[int] = 2
    image_shape: ClassVar[tuple[int, int, int]] = (8, 8, 1)
    mean: ClassVar[tuple[float, ...]] = (0.5,)
    std: ClassVar[tuple[float, ...]] = (0.5,)

    def train(self) -> Split:
        images, labels = np.zeros((10, 8, 8, 1), np.uint8), np.zeros(10, np.int64)
        images[:5], labels[:5] = 255, 1
        return Split(images, labels)

    def validation(self) -> None:
        return None

    def test(self) -> Split:
        return self.train()


@dataclass(frozen=True, kw_only=True)
class Linear(BaseNetwork):
    """One layer on the pixels."""

    pixels: int
    version: ClassVar[int] = 1

    def build(self, classes: int, channels: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(self.pixels * channels, classes))


class TestNoise(PoolSuite):
    pieces = (Noise(rows=20),)


class TestBright(TaskSuite):
    pieces = (Bright(),)


class TestLinear(NetworkSuite):
    pieces = (Linear(pixels=32 * 32),)


FAILING = {
    "Restless": "same_in_every_storage",
    "Alike": "rows_with_unique_ids",
    "Unlabelled": "labels_of_the_classes",
    "Shared": "whoever_writes_into_it",
    "Headless": "features_are_what_the_head_reads",
}


def test_broken_pieces_fail() -> None:
    """In a process of its own: the file is named so that no other run collects it."""
    file = Path(__file__).with_name("broken_pieces.py")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)],
        cwd=ROOT,
        env=environment(),
        text=True,
        capture_output=True,
        check=False,
    )
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    for kind, name in FAILING.items():
        assert any(f"Test{kind}::" in line and name in line for line in failed), done.stdout
