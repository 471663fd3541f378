"""How many rows are still to be scored, and how many bytes will be written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dfkd.data.pools import TrainingImages
from dfkd.experiment import Cell, Experiment
from dfkd.identity import name_of
from dfkd.models.networks import classifier_head
from dfkd.scores.disk_space import Need
from dfkd.scores.memory_map import stored_note
from dfkd.storage import Storage, layout
from dfkd.training.inputs import inputs_key
from dfkd.training.jobs import RunContext

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
    ready = set() if rows is not None else _ready(storage)
    needs = [need_of(cell, rows) for cell in inputs if inputs_key(cell) not in ready]
    return Volume(
        rows=sum(need.rows for need in needs),
        pool=sum(need.rows * need.pixels for need in needs),
        scores=sum(need.scores for need in needs),
        memory_map=sum(need.memory_map for need in needs),
        cells=sum(_weights(experiment) + BESIDE_WEIGHTS for experiment in left),
    )


def need_of(cell: Cell, rows: int | None) -> Need:
    """Return what a pool's scores and memory map take, from the recipe alone."""
    e = cell.experiment
    found = rows if rows is not None else e.params().get("pool.rows")
    if found is None and isinstance(e.pool, TrainingImages):
        found = len(e.pool.task.train())
    if not isinstance(found, int):
        raise ValueError(
            f"how many rows {name_of(e.pool)} has is known only when it is read: say --rows N"
        )
    with torch.device("meta"):  # nothing is computed
        teacher = e.teacher.network.build(e.task.classes, e.task.image_shape[2])
    return Need(
        rows=found,
        map_rows=found,
        classes=e.task.classes,
        width=classifier_head(teacher).in_features,
        pixels=int(np.prod(e.task.image_shape)),
        cache=e.cache and e.cache.canonical(e.task.classes),
    )


def _ready(storage: Storage) -> set[str]:
    """Return the `inputs_key` of what is scored and mapped, as earlier calls have noted it."""
    notes = [stored_note(storage.below(layout.pack(n))) for n in storage.list(layout.PACKS)]
    mapped = {(note["teacher"], note["pool"]) for note in notes if note is not None}
    contexts = [layout.run_context(name) for name in storage.list(layout.STUDIES)]
    saved = [storage.read_json(key) for key in contexts if storage.exists(key)]
    saved += _of_sweeps(storage)
    known = [RunContext.of(one).digests for one in saved]
    return {key for one in known for key, digests in one.items() if digests in mapped}


def _of_sweeps(storage: Storage) -> list[dict[str, object]]:
    found = []
    for name in storage.list(layout.SWEEPS):
        folder = layout.sweep(name)
        files = [file for file in storage.list(folder) if layout.is_result(file)]
        found += [storage.read_json(folder / file)["setting"] for file in files]
    return found


def _weights(experiment: Experiment) -> int:
    """Return the bytes of a student's weights."""
    task = experiment.task
    with torch.device("meta"):
        student = experiment.student.build(task.classes, task.image_shape[2])
    return sum(value.numel() * value.element_size() for value in student.state_dict().values())
