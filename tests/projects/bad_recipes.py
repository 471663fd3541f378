"""Experiments that cannot work. One is chosen by the environment variable BAD."""

import os
from dataclasses import replace

from tiny_space import default

from dfkd.data.pools import ParquetPool
from dfkd.method.selection import Balanced
from dfkd.models.networks import SmallResNet
from dfkd.models.teachers import TeacherFile

match os.environ["BAD"]:
    case "no pool":
        experiment = replace(default, pool=ParquetPool(path="nowhere"))
    case "empty pool":
        experiment = replace(default, pool=ParquetPool(path="empty"))
    case "corrupt teacher":
        experiment = replace(
            default, teacher=TeacherFile(path="corrupt.safetensors", network=SmallResNet(width=8))
        )
    case "ratio":
        experiment = replace(default, selection=Balanced(ratio=1.5))
