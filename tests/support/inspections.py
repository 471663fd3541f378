"""Inspections for tests: one run to its end, a made pool with a starved class, values by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from dfkd.data.importing.shards import SetAside, write_shard
from dfkd.data.pools import PoolFiles
from dfkd.experiment import Cell, Experiment
from dfkd.inspection.fitness import Choice, ClassFit, Copies, Fitness, Profile
from dfkd.inspection.inspecting import Found, Subject, inspect_parts
from dfkd.scores import scores_of
from dfkd.seeding import Block
from dfkd.storage import file_at
from dfkd.training.distill import Inputs
from dfkd.training.inputs import InputSource
from dfkd.training.probe import draw_probe

ROWS, CLASSES = 3000, 10
SURE, UNSURE = 6.0, 1.0  # logits above the others: confidence .98 and .23


def found_in(experiment: Experiment, source: InputSource, inputs: Inputs) -> Found:
    """Run an inspection to its end, and check that it announced as many parts as it promised."""
    cell = Cell(experiment=experiment, block=Block(seed=0))
    subject = Subject(cell=cell, recipe="tiny", source=source, inputs=inputs)
    parts = inspect_parts(subject)
    names = []
    while True:
        try:
            names.append(next(parts))
        except StopIteration as end:
            assert len(names) == subject.parts
            return end.value


def inspected(experiment: Experiment, source: InputSource, inputs: Inputs) -> Fitness:
    """Return what an inspection of this experiment finds."""
    return found_in(experiment, source, inputs).fitness


def made(source: InputSource, folder: Path) -> tuple[InputSource, Inputs]:
    """Make a pool of noise, 300 rows a class, all sure but for class 7, of which 4 candidates are.

    Two copies are planted, and the validation images are the source's own.
    """
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (ROWS, 16, 16, 1), dtype=np.uint8)
    images[[100, 2000]] = images[5]
    label_N = np.arange(ROWS) % CLASSES
    logits = np.eye(CLASSES, dtype=np.float32)[label_N] * SURE
    logits += rng.random((ROWS, CLASSES), dtype=np.float32) / 10  # no ties
    scores = scores_of(np.arange(ROWS), logits, rng.random((ROWS, 4), dtype=np.float32))
    probe = draw_probe(scores)
    of_seven = np.setdiff1d(np.flatnonzero(label_N == 7), probe.rows_P)
    logits[of_seven[4:]] *= UNSURE / SURE
    scores = scores_of(np.arange(ROWS), logits, scores.features_ND)
    set_aside = SetAside(file_at(folder / "rejected.parquet"), (("truncated", 3),))
    pool = PoolFiles((write_shard(folder / "a.parquet", np.arange(ROWS), images),), set_aside)
    validation = source.task.validation()
    inputs = Inputs(
        images_NHWC=images,
        scores=scores,
        probe=probe,
        validation=validation,
        teacher=source.teacher,
        selections=None,
    )
    return replace(source, pool=pool), inputs


def plain(**changes: object) -> Fitness:
    """Return a pool in order: 1,000 rows that may be selected, 50 a class are."""
    classes = tuple(
        ClassFit(label=k, rows=100, confident=60, mean_confidence=0.9, taken=50) for k in range(10)
    )
    profile = Profile(
        accuracy=0.99,
        images=100,
        confident=0.9,
        histogram=(5,) * 20,
        pool_mean=(0.3,),
        task_mean=(0.3,),
        task_std=(0.3,),
    )
    own = Choice(
        rule="balanced",
        ratio=0.5,
        own_budget=True,
        rows=500,
        lowest=0.8,
        mean=0.9,
        counts=(50,) * 10,
        copies=0,
    )
    found = Fitness(
        recipe="r",
        rule="balanced",
        rows=1200,
        held_out=200,
        histogram=(50,) * 20,
        very_sure=100,
        classes=classes,
        choices=(own,),
        copies=Copies(exact=0, near=0, blank=0, looked_at=1200),
        profile=profile,
    )
    return replace(found, **changes)


def with_class(**changes: object) -> Fitness:
    """Return `plain()` with its first class changed."""
    first, *others = plain().classes
    return plain(classes=(replace(first, **changes), *others))
