"""The folder of an exported student: each format is written, opened again, checked and measured.

N images, H height, W width, C channels.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dfkd.experiment import Experiment
from dfkd.experiment.rebuild import modules_of
from dfkd.export.checks import Agreement, Speed, agreement, speed
from dfkd.export.formats import CONFIG, Format, NotExported, formats, write, write_config
from dfkd.export.standalone import Standalone, standalone
from dfkd.identity import flat
from dfkd.storage import Storage, layout
from dfkd.storage.layout import Key


@dataclass(frozen=True, kw_only=True)
class Checked:
    """One format of an exported student, with what was measured of it."""

    format: Format
    bytes: int
    agreement: Agreement
    speed: Speed


@dataclass(frozen=True, kw_only=True)
class Student:
    """A finished cell's student. cell: its name in the ledger."""

    cell: str
    experiment: Experiment
    weights: dict[str, Tensor]

    @property
    def parameters(self) -> int:
        """The count of numbers that were learned, without running means of normalisation layers."""
        task = self.experiment.task
        network = self.experiment.student.build(task.classes, task.image_shape[2])
        return sum(parameter.numel() for parameter in network.parameters())

    def standalone(self) -> Standalone:
        """Return the student with its normalisation inside."""
        return standalone(self.experiment, self.weights)


def is_export_of(target: Storage, cell: str) -> bool:
    """Return whether this cell's student lies there; False for an empty folder or none.

    Raises ValueError where something else lies there.
    """
    path = target.path(layout.ROOT)
    is_file = path is not None and path.is_file()
    if not is_file and not target.list(layout.ROOT):
        return False
    try:
        found = target.read_json(Key(CONFIG)).get("cell")
    except (FileNotFoundError, NotADirectoryError, ValueError, AttributeError):
        found = None
    if found == cell:
        return True
    what = f"the student of the cell {found}" if found else "something else"
    raise ValueError(f"{target} holds {what}: name another folder with --out")


def write_formats(student: Student, images_NHWC: NDArray[np.uint8], half: Path) -> list[Checked]:
    """Write all formats and config.json into the folder, and check each.

    Raises NotExported for a format that cannot be written or does not agree with the student.
    """
    network = flat(student.experiment.student, "student")
    write_config(half, student.cell, network, student.experiment.task)
    return [_checked(student, how, images_NHWC, half) for how in formats(modules_of(network))]


def _checked(student: Student, how: Format, images_NHWC: NDArray[np.uint8], half: Path) -> Checked:
    task, original = student.experiment.task, student.standalone()
    write(how, original, task.image_shape, half)
    answer = how.open(half)
    found = agreement(answer, original, images_NHWC, task)
    if not found.holds:
        raise NotExported(
            f"the {how.name} export does not agree with the student: its logits differ by up to "
            f"{found.difference:.2g} on {found.images} images; nothing was written"
        )
    size = (half / how.file).stat().st_size
    return Checked(format=how, bytes=size, agreement=found, speed=speed(answer, task.image_shape))
