"""Pieces that break a promise each; `test_own_pieces.py` runs them and sees that they fail."""

import numpy as np
from test_own_pieces import Bright, Linear, Noise
from torch import nn

from dfkd.data.importing.shards import write_shard
from dfkd.data.pools import PoolFiles
from dfkd.data.tasks import Split
from dfkd.storage import layout
from dfkd.testing import NetworkSuite, PoolSuite, TaskSuite


class Restless(Noise):
    """Other images at every call."""

    def files(self, image_shape, storage, draw=0):
        images = np.random.default_rng().integers(0, 256, (9, *image_shape), np.uint8)
        file = storage.file(layout.pool("noise") / "0.parquet")
        return PoolFiles((write_shard(file, np.arange(9), images),))


class Alike(Noise):
    """One row id for all rows."""

    def files(self, image_shape, storage, draw=0):
        images = np.zeros((9, *image_shape), np.uint8)
        file = storage.file(layout.pool("noise") / "0.parquet")
        return PoolFiles((write_shard(file, np.zeros(9, int), images),))


class Unlabelled(Bright):
    """Labels that are no classes."""

    def train(self):
        return Split(super().train().images, np.full(10, 2))


class Shared(Bright):
    """One array for all callers."""

    one = Bright().train()

    def train(self):
        return self.one


class Headless(Linear):
    """A layer after the last one that is used."""

    def build(self, classes, channels):
        module = super().build(classes, channels)
        module.append(nn.Identity())
        module[-1].unused = nn.Linear(1, 1)
        return module


class TestRestless(PoolSuite):
    pieces = (Restless(rows=9),)


class TestAlike(PoolSuite):
    pieces = (Alike(rows=9),)


class TestUnlabelled(TaskSuite):
    pieces = (Unlabelled(),)


class TestShared(TaskSuite):
    pieces = (Shared(),)


class TestHeadless(NetworkSuite):
    pieces = (Headless(pixels=1024),)
