"""What a run reports: the points of its curve, and a loss that is no longer finite."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dfkd.experiment import Schedule
from dfkd.models.networks import SmallResNet
from dfkd.testing.runs import run_of
from dfkd.training.distill import Diverged, Run
from dfkd.training.means import RunningMeans


def curve(run: Run) -> list[dict[str, float]]:
    """Train to the end."""
    points = []
    for step in run.experiment.schedule.evaluation_steps():
        run.advance(step)
        points.append(run.evaluate())
    return points


def test_a_point_of_the_curve(tiny, inputs):
    point = curve(run_of(tiny, inputs))[0]
    assert point["step"] == 5
    assert {
        "probe",
        "probe.low",
        "probe.middle",
        "probe.high",
        "validation",
        "kept_classes",
    } <= point.keys()
    assert point["kept_classes"] == 7.0
    assert all(0 <= point[name] <= 1 for name in point if name.startswith(("probe", "validation")))
    total = point["train.kd"] + 3 * point["train.explicit"]
    # its weight still rises at first
    assert total < point["train.total"] <= total + point["train.implicit"]


def test_loss_terms_are_means_since_the_last_point(tiny, inputs):
    often = curve(run_of(replace(tiny, schedule=replace(tiny.schedule, evaluations=20)), inputs))
    seldom = curve(run_of(tiny, inputs))
    for index, point in enumerate(seldom):
        part = often[5 * index : 5 * index + 5]
        assert point["train.kd"] == pytest.approx(np.mean([p["train.kd"] for p in part]), rel=1e-5)


def test_a_student_learns(tiny, inputs):
    schedule = Schedule(steps=80, batch=32, evaluations=2, learning_rate=1e-2)
    points = curve(
        run_of(
            replace(tiny, student=SmallResNet(width=8, stem_stride=2), schedule=schedule), inputs
        )
    )
    assert points[-1]["train.kd"] < points[0]["train.kd"] / 1.5
    assert points[-1]["probe"] > 0.3  # a guess is .1


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_loss_that_is_not_finite_is_noticed(tiny, inputs, optimizer):
    schedule = Schedule(steps=40, batch=16, learning_rate=1e6, optimizer=optimizer, evaluations=2)
    run = run_of(replace(tiny, schedule=schedule), inputs)
    with pytest.raises(Diverged, match="the loss is not finite any more at step"):
        curve(run)


def test_means_that_go_on_forget_what_was_added_since():
    """A worker of three computes a step of which nothing stays before it goes on."""
    means = RunningMeans("cpu")
    saved = means.state()
    means.add({"kept_classes": torch.ones(())})
    means.restore(saved)
    assert means.take(1) == {}
