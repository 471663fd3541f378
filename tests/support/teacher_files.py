"""Files of a small teacher's weights, and of what is none."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from dfkd.data.tasks import Digits
from dfkd.models.networks import SmallResNet
from dfkd.models.teachers import TeacherFile

TASK = Digits()
SMALL = SmallResNet(width=8, stem_stride=2)


def weights_of(
    network: SmallResNet = SMALL, classes: int = 10, channels: int = 1
) -> dict[str, Tensor]:
    return {
        name: value.contiguous()
        for name, value in network.build(classes, channels).state_dict().items()
    }


def written(
    path: Path, network: SmallResNet = SMALL, classes: int = 10, channels: int = 1
) -> TeacherFile:
    save_file(weights_of(network, classes, channels), path)
    return TeacherFile(path=str(path), network=network)


def saved(path: Path, content: Any, **how: Any) -> TeacherFile:
    torch.save(content, path, **how)
    return TeacherFile(path=str(path), network=SMALL)


def everything(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
