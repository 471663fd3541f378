"""Small runs of the training loop, for tests of what takes part in them: no teacher is trained.

N rows of the pool, H height, W width, C channels.
"""

import io
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch

from dfkd.data.images.transforms import Crop
from dfkd.data.pools import Glyphs
from dfkd.data.tasks import Digits
from dfkd.experiment import Cell, Experiment, Schedule
from dfkd.method.selection import Random
from dfkd.models.networks import SmallResNet
from dfkd.models.teachers import SupervisedTeacher, TrainedNetwork, weights_digest
from dfkd.scores import score_images, scores_of
from dfkd.seeding import Block
from dfkd.training.distill import Run
from dfkd.training.inputs import Inputs
from dfkd.training.probe import draw_probe

NETWORK = SmallResNet(width=8, stem_stride=2)
ROWS = 200  # of the pool


def small_experiment() -> Experiment:
    """Return plain KD on random rows, 8 steps of 16 images, with views that a loss may compare."""
    return Experiment(
        task=Digits(),
        pool=Glyphs(rows=ROWS),
        teacher=SupervisedTeacher(network=NETWORK),
        student=NETWORK,
        selection=Random(rows=64),
        views=Crop(padding=1, flip=False),
        schedule=Schedule(steps=8, batch=16, evaluations=2, learning_rate=1e-3),
    )


@cache
def small_inputs() -> Inputs:
    """Return random images and what an untrained teacher answers to them."""
    task = Digits()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = NETWORK.build(task.classes, task.image_shape[2])
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    teacher = TrainedNetwork(network=NETWORK, weights=weights, digest=weights_digest(weights))
    rng = np.random.default_rng(0)
    images_NHWC = rng.integers(0, 256, (ROWS, *task.image_shape), dtype=np.uint8)
    scores = scores_of(np.arange(ROWS), *score_images(teacher, images_NHWC, task, "cpu"))
    return Inputs(
        images_NHWC=images_NHWC,
        scores=scores,
        probe=draw_probe(scores),
        validation=task.validation(),
        teacher=teacher,
    )


def run_of(experiment: Experiment, inputs: Inputs | None = None, seed: int = 0) -> Run:
    """Begin a run in the block of this seed, on the small inputs unless others are given."""
    cell = Cell(experiment=experiment, block=Block(seed=seed))
    return Run(cell, small_inputs() if inputs is None else inputs)


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state as it comes back from a file that holds no code."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


def same(one: Any, other: Any) -> bool:
    """Return whether two states are equal to the last bit, whatever is nested in what."""
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and one.equal(other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def resumed_is_uninterrupted(
    experiment: Experiment, inputs: Inputs | None = None, stops: Sequence[int] = ()
) -> bool:
    """Return whether a run that is interrupted ends as one that is not.

    stops: the steps after which it is interrupted; without any, an early and a late one.
    """
    steps = experiment.schedule.steps
    calm = run_of(experiment, inputs)
    calm.advance(steps)
    for stop in stops or (steps // 3, steps - 1):
        first = run_of(experiment, inputs)
        if stop:
            first.advance(stop)
        resumed = run_of(experiment, inputs)
        resumed.restore(through_a_file(first.state()))
        if stop < steps:
            resumed.advance(steps)
        if not same(resumed.state(), calm.state()):
            return False
    return True
