"""How many rows are still to be scored, and how many bytes will be written."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dfkd.data.pools import TrainingImages
from dfkd.experiment import Cell, Experiment
from dfkd.identity import name_of
from dfkd.models.networks import classifier_head
from dfkd.scores.disk_space import Need
from dfkd.storage import Storage
from dfkd.training.prepared import prepared, rows_when_read

BESIDE_WEIGHTS = 20_000  # bytes of a cell's curve, record and accuracies


@dataclass(frozen=True, kw_only=True)
class Volume:
    """What will be written at most, in bytes. rows: to be scored, over all teachers and pools."""

    rows: int
    pool: int
    scores: int
    memory_map: int
    cells: int

    @property
    def together(self) -> int:
        return self.pool + self.scores + self.memory_map + self.cells


def volume(
    inputs: Iterable[Cell], left: Sequence[Experiment], storage: Storage, rows: int | None
) -> Volume:
    """Return what these inputs and cells will take. rows: of each pool; None: what it says."""
    missing = [cell for cell in inputs if rows is not None or prepared(cell, storage) is None]
    needs = [need_of(cell, rows_of(cell, storage) if rows is None else rows) for cell in missing]
    return Volume(
        rows=sum(need.rows for need in needs),
        pool=sum(need.rows * need.pixels for need in needs),
        scores=sum(need.scores for need in needs),
        memory_map=sum(need.memory_map for need in needs),
        cells=sum(_weights(experiment) + BESIDE_WEIGHTS for experiment in left),
    )


def rows_of(cell: Cell, storage: Storage) -> int:
    """Return the rows of a cell's pool, without reading it. ValueError where they are not known."""
    e = cell.experiment
    if isinstance(e.pool, TrainingImages):
        return len(e.pool.task.train())
    found = e.params().get("pool.rows")
    if not isinstance(found, int):
        found = rows_when_read(cell, storage)
    if found is None:
        raise ValueError(
            f"how many rows {name_of(e.pool)} has is known only when it is read: say --rows N, "
            "or run platform.inspect first"
        )
    return found


def need_of(cell: Cell, rows: int) -> Need:
    """Return what a pool of so many rows takes as scores and memory map."""
    e = cell.experiment
    with torch.device("meta"):  # nothing is computed
        teacher = e.teacher.network.build(e.task.classes, e.task.image_shape[2])
    return Need(
        rows=rows,
        map_rows=rows,
        classes=e.task.classes,
        width=classifier_head(teacher).in_features,
        pixels=int(np.prod(e.task.image_shape)),
        cache=e.cache and e.cache.canonical(e.task.classes),
    )


def _weights(experiment: Experiment) -> int:
    """Return the bytes of a student's weights."""
    task = experiment.task
    with torch.device("meta"):
        student = experiment.student.build(task.classes, task.image_shape[2])
    return sum(value.numel() * value.element_size() for value in student.state_dict().values())
