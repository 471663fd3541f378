"""A short timed trial on noise, for what the storage has not measured: nothing is read or written.

Networks have random weights; their speed depends on shapes, and not on what is in them. N rows,
H height, W width, C channels, K classes, D feature width.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from dfkd.execution.compute import Compute, check_machine
from dfkd.experiment import Cell, Experiment
from dfkd.models.networks import classifier_head
from dfkd.models.teachers import TrainedNetwork
from dfkd.scores import Scorer
from dfkd.scores.scores import scores_of
from dfkd.seeding import Block, drawing_from, use_deterministic
from dfkd.training.distill import Run
from dfkd.training.inputs import Inputs
from dfkd.training.precision import resolved
from dfkd.training.probe import draw_probe

SECONDS = 4.0  # for each of the two
MOST_ROWS, MOST_BYTES = 20_000, 64_000_000


def measurable(compute: Compute) -> bool:
    """Return whether this machine has what is planned for: GPUs, or a compiler for kernels."""
    try:
        check_machine(compute)
    except ValueError:
        return False
    return True


def seconds_of_cell(experiment: Experiment, compute: Compute) -> float | None:
    """Return the seconds of a cell on one worker: its beginning, some steps, an evaluation.

    None where noise cannot take the place of its images.
    """
    if experiment.reads_labels:
        return None
    use_deterministic(compute.cpus)
    cell = Cell(experiment=experiment, block=Block(seed=0))
    schedule = experiment.schedule
    try:
        precision = resolved(compute.precision, compute.device)
        inputs = noise(experiment, _rows(experiment))
        with _timed() as beginning:
            run = Run(cell, inputs, compute.device, precision, compute.compiled)
        run.advance(min(2, schedule.steps))  # the first ones are slower
        started, first, together = time.monotonic(), run.step, 1
        while run.step < schedule.steps and time.monotonic() - started < SECONDS:
            run.advance(min(schedule.steps, run.step + together))
            together *= 2  # the end of each call waits for a GPU
        each = (time.monotonic() - started) / max(1, run.step - first)
        with _timed() as evaluation:
            run.evaluate()
    except (ValueError, ArithmeticError, RuntimeError):  # noise gives nothing to choose, no kernels
        return None
    return beginning[0] + schedule.steps * each + schedule.evaluations * evaluation[0]


def images_a_second(experiment: Experiment, compute: Compute) -> float:
    """Return how many images the teacher answers in a second on one worker."""
    use_deterministic(compute.cpus)
    scorer = Scorer(_teacher(experiment), experiment.task, compute.device)
    images_NHWC = _images(experiment, 256)
    scorer(images_NHWC)
    answered, started = 0, time.monotonic()
    while time.monotonic() - started < SECONDS:
        scorer(images_NHWC)
        answered += len(images_NHWC)
    return answered / (time.monotonic() - started)


@contextmanager
def _timed() -> Iterator[list[float]]:
    """Give a list that holds the seconds at the end."""
    took, started = list[float](), time.monotonic()
    yield took
    took.append(time.monotonic() - started)


def _teacher(experiment: Experiment) -> TrainedNetwork:
    network, task = experiment.teacher.network, experiment.task
    with drawing_from(0, "cpu"):
        weights = network.build(task.classes, task.image_shape[2]).state_dict()
    return TrainedNetwork(network=network, weights=weights, digest="random weights")


def _images(experiment: Experiment, rows: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    shape = (rows, *experiment.task.image_shape)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def _rows(experiment: Experiment) -> int:
    """Return how many rows give the probe its usual size, or what fits into memory."""
    task = experiment.task
    fits = MOST_BYTES // (int(np.prod(task.image_shape)) + 4 * task.classes)
    return max(4 * experiment.schedule.batch, min(MOST_ROWS, fits))


def noise(experiment: Experiment, rows: int) -> Inputs:
    """Return so many rows of noise, and a teacher with random weights that has not seen them."""
    task, teacher = experiment.task, _teacher(experiment)
    width, draw = classifier_head(teacher.build(task)).in_features, np.random.default_rng(1)
    scores = scores_of(
        np.arange(rows, dtype=np.int64),
        4 * draw.standard_normal((rows, task.classes), dtype=np.float32),
        draw.standard_normal((rows, width), dtype=np.float32),
    )
    return Inputs(
        images_NHWC=_images(experiment, rows),
        scores=scores,
        probe=draw_probe(scores),
        validation=None,
        teacher=teacher,
    )
