"""Steps whose inputs are read together compute what they compute one by one."""

from dataclasses import replace

import pytest

from dfkd.data.images.transforms import Crop
from dfkd.experiment import Experiment
from dfkd.method.dropping import ByConfidence, Tail
from dfkd.method.losses import CRD, FitNet, NTXent
from dfkd.method.selection import Dynamic
from dfkd.models.teachers import weights_digest
from dfkd.testing.runs import run_of
from dfkd.training.ahead import MOST, STEPS, steps_together


@pytest.mark.parametrize("together", [2, 3, STEPS])
def test_a_run_is_the_same_to_the_last_bit(tiny: Experiment, inputs, together: int) -> None:
    """Whatever number of steps is read at once, also where a run stops and goes on between."""
    one, other = run_of(tiny, inputs), run_of(tiny, inputs)
    one.together, other.together = 1, together
    points = []
    for run in (one, other):
        for step in (1, 4, tiny.schedule.steps):
            run.advance(step)
        points.append(run.evaluate())
    assert points[0] == points[1] and "kept_classes" in points[0]
    assert len({weights_digest(run.objective.state_dict()) for run in (one, other)}) == 1


def test_a_run_reads_no_step_twice(tiny: Experiment, inputs) -> None:
    run = run_of(tiny, inputs)
    assert run.together == STEPS
    asked, whole = [], run.batch
    run.batch = lambda step: asked.append(step) or whole(step)
    run.advance(tiny.schedule.steps)
    assert asked == list(range(len(asked)))


@pytest.mark.parametrize(
    "change",
    [
        {"views": Crop(padding=1, flip=False)},
        {"dropping": ByConfidence(rate=0.3)},
        {"selection": Dynamic.example()},
        {"explicit": FitNet()},
        {"implicit": CRD.example()},
        {"implicit": NTXent.example(), "views": Crop(padding=1, flip=False)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_has_to_wait_for_its_step_is_read_step_by_step(tiny: Experiment, change) -> None:
    assert steps_together(replace(tiny, dropping=Tail(rate=0.3)), "cpu") == STEPS
    assert steps_together(replace(tiny, **change).canonical(), "cpu") == 1
    assert steps_together(tiny, "cuda") == 1


@pytest.mark.parametrize(("images", "steps"), [(3.0, 3), (0.4, 1), (1000.0, STEPS)])
def test_large_images_are_read_a_few_steps_at_a_time(tiny: Experiment, images, steps) -> None:
    height, width, channels = tiny.task.image_shape
    batch = int(MOST / images / (height * width * channels))
    assert (
        steps_together(replace(tiny, schedule=replace(tiny.schedule, batch=batch)), "cpu") == steps
    )
