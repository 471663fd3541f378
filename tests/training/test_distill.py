"""The training loop: the same numbers whenever, however interrupted, whatever is looked at.

B batch, D feature width of the teacher.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from dfkd.data.images.transforms import Crop
from dfkd.experiment import Cell, Experiment, Schedule
from dfkd.method import dropping
from dfkd.method.losses import PooledFeatures, Similarity
from dfkd.method.selection import Random
from dfkd.models.networks.network import BaseNetwork
from dfkd.seeding import Block
from dfkd.testing.runs import run_of, same, through_a_file
from dfkd.training.distill import Run
from dfkd.training.inputs import Inputs
from dfkd.training.objective import Objective

SCHEDULES = {
    "adamw, one cycle": {},
    "sgd, cosine": {"optimizer": "sgd", "decay": "cosine", "learning_rate": 0.05},
}


@pytest.fixture(scope="module")
def wide(inputs) -> Inputs:
    """As if the teacher were wider than the student: a projector is needed."""
    features_ND = np.random.default_rng(0).random((600, 48)).astype(np.float32)
    return replace(inputs, scores=replace(inputs.scores, features_ND=features_ND))


@pytest.fixture(scope="module")
def everything(tiny) -> Experiment:
    """With all that draws at random in a step."""
    return replace(tiny, dropping=dropping.Random(rate=0.3), views=Crop(padding=1, flip=False))


def curve(run: Run) -> list[dict[str, float]]:
    """Train to the end."""
    points = []
    for step in run.experiment.schedule.evaluation_steps():
        run.advance(step)
        points.append(run.evaluate())
    return points


def weights(run: Run) -> dict[str, torch.Tensor]:
    return run.objective.student.network.state_dict()


# ---- the same numbers again


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_two_runs_are_the_same_to_the_last_bit(everything, wide, schedule):
    experiment = replace(everything, schedule=replace(everything.schedule, **SCHEDULES[schedule]))
    one, other = run_of(experiment, wide), run_of(experiment, wide)
    torch.manual_seed(1)
    points = curve(one)
    torch.manual_seed(2)  # nothing listens to it
    np.random.seed(2)  # noqa: NPY002
    assert curve(other) == points
    assert same(one.state(), other.state())


def test_another_seed_is_another_run(everything, wide):
    one, other = run_of(everything, wide), run_of(everything, wide, seed=1)
    assert not same(weights(one), weights(other))
    assert one.batch(0).tolist() != other.batch(0).tolist()


def test_the_global_random_state_does_not_move(everything, wide):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    run_of(everything, wide).advance(3)
    assert torch.random.get_rng_state().equal(before)


@pytest.mark.parametrize(
    ("schedule", "stop"),
    [*(("adamw, one cycle", stop) for stop in (0, 1, 5, 7, 19, 20)), ("sgd, cosine", 7)],
)
def test_a_resumed_run_is_the_uninterrupted_one(everything, wide, schedule, stop):
    """Whatever the step: between evaluations too, and between the batches of an epoch."""
    changes = {"learning_rate": 1e-3, **SCHEDULES[schedule]}
    experiment = replace(everything, schedule=replace(everything.schedule, **changes))
    calm = run_of(experiment, wide)
    points = []
    for step in experiment.schedule.evaluation_steps():
        if step > stop:
            break
        calm.advance(step)
        points.append(calm.evaluate())
    calm.advance(stop)
    state = through_a_file(calm.state())
    resumed = run_of(experiment, wide)
    resumed.restore(state)
    for run in (calm, resumed):
        run.advance(20)
    # the optimizer's moments and the learning rate as well
    assert same(calm.state(), resumed.state())
    if stop < 20:
        assert calm.evaluate() == resumed.evaluate()


def test_a_state_holds_the_optimizer_and_everything_that_is_trained(everything, wide):
    run = run_of(everything, wide)
    run.advance(2)
    state = run.state()
    names = {name for name, _ in run.objective.named_parameters()}
    assert any(name.startswith("losses.explicit.") for name in names)
    assert names <= state["objective"].keys()
    assert [len(moment) for moment in state["optimizer"]["moments"]] == [len(names)] * 2


# ---- what does not disturb what


@pytest.mark.parametrize("evaluations", [2, 5])
def test_looking_at_the_probe_does_not_disturb_training(everything, wide, evaluations):
    runs = [
        run_of(replace(everything, schedule=replace(everything.schedule, evaluations=n)), wide)
        for n in (4, evaluations)
    ]
    last = [curve(run)[-1] for run in runs]
    assert same(weights(runs[0]), weights(runs[1]))
    assert last[0]["probe"] == last[1]["probe"]


def test_a_projector_does_not_change_the_students_start(tiny, inputs, wide):
    plain = replace(tiny, explicit=None, implicit=None)
    starts = [
        Objective(Cell(experiment=experiment, block=Block(seed=0)), width).student.state_dict()
        for experiment, width in (
            (plain, 32),
            (tiny, 32),
            (tiny, 48),
            (replace(tiny, implicit=None), 48),
        )
    ]
    assert all(same(start, starts[0]) for start in starts)


@dataclass(frozen=True, kw_only=True)
class Shallow(BaseNetwork):
    """A user's own network, as wide as the tiny student, that takes fewer numbers for its start."""

    version: ClassVar[int] = 1

    def build(self, classes: int, channels: int) -> nn.Module:
        return nn.Sequential(
            nn.Flatten(), nn.Linear(256 * channels, 32), nn.ReLU(), nn.Linear(32, classes)
        )


def test_the_student_does_not_change_the_projectors_start(tiny):
    experiments = tiny, replace(tiny, student=Shallow())
    starts = [
        Objective(Cell(experiment=e, block=Block(seed=0)), 48).losses.state_dict()
        for e in experiments
    ]
    assert starts[0] and same(*starts)


def test_losses_dropping_and_views_do_not_change_the_batches_or_the_selection(
    tiny, everything, inputs
):
    other = replace(everything, explicit=None, implicit=None, kd=replace(tiny.kd, temperature=2.0))
    one, two = run_of(tiny, inputs), run_of(other, inputs)
    assert one.rows_N.tolist() == two.rows_N.tolist()
    assert one.batch(3).tolist() == two.batch(3).tolist()


def test_a_loss_of_weight_0_is_no_loss(tiny, inputs):
    none = run_of(replace(tiny, implicit=None), inputs)
    zero = run_of(replace(tiny, implicit=Similarity(weight=0.0)), inputs)
    assert curve(none) == curve(zero)
    assert same(none.state(), zero.state())


# ---- batches


@pytest.mark.parametrize(("batch", "ratio"), [(16, 0.3), (7, 0.1), (100, 0.05), (51, 0.1)])
def test_each_epoch_is_a_permutation_and_batches_run_across_epochs(tiny, inputs, batch, ratio):
    run = run_of(
        replace(tiny, selection=Random(ratio=ratio), schedule=Schedule(steps=50, batch=batch)),
        inputs,
    )
    rows = len(run.rows_N)
    seen = np.concatenate([run.batch(step) for step in range(50)])
    assert all(len(run.batch(step)) == batch for step in range(50))
    epochs = [seen[start : start + rows] for start in range(0, len(seen) - rows + 1, rows)]
    assert all(sorted(epoch) == run.rows_N.tolist() for epoch in epochs)
    assert all((one != other).any() for one, other in pairwise(epochs))


def test_a_batch_depends_on_its_step_alone(tiny, inputs):
    run, other = run_of(tiny, inputs), run_of(tiny, inputs)
    forwards = [run.batch(step).tolist() for step in range(40)]
    backwards = [other.batch(step).tolist() for step in reversed(range(40))]
    assert forwards == backwards[::-1]


def test_the_student_sees_views_and_the_teachers_answer_is_that_of_the_clean_image(
    tiny, everything, inputs
):
    run = run_of(everything, inputs)
    rows = run.batch(0)
    (view,), (again,), (other,) = (run.views(rows, step) for step in (0, 0, 1))
    assert view.equal(again) and not view.equal(other)
    assert not view.equal(run_of(tiny, inputs).views(rows, 0)[0])
    assert (run.answers(rows, 0, view).logits_BK.numpy() == inputs.scores.logits_NK[rows]).all()


# ---- the objective


def test_no_gradient_reaches_the_teacher_and_no_label_is_read(tiny, wide, monkeypatch):
    monkeypatch.setattr(type(tiny.task), "train", None)
    monkeypatch.setattr(type(tiny.task), "test", None)
    run = run_of(tiny, replace(wide, validation=None))
    teacher = run.answers(run.batch(0), 0, run.views(run.batch(0), 0)[0])
    assert not teacher.logits_BK.requires_grad and not teacher.features_BD.requires_grad
    assert "validation" not in curve(run)[-1]


def test_training_moves_everything_that_the_objective_holds(tiny, wide):
    run = run_of(tiny, wide)
    before = {name: value.clone() for name, value in run.objective.named_parameters()}
    run.advance(3)
    for name, value in run.objective.named_parameters():
        assert not value.equal(before[name]), name


def test_the_total_is_the_weighted_sum(tiny, wide):
    terms = run_of(tiny, wide).loss(10)
    total = terms["kd"] + 3.0 * terms["explicit"] + 1.0 * terms["implicit"]
    assert terms["total"].item() == pytest.approx(total.item(), rel=1e-6)


@pytest.mark.parametrize(
    ("ramp", "progress", "expected"),
    [
        (0.0, 0.0, 2.0),
        (0.1, 0.0, 0.0),
        (0.1, 0.05, 1.0),
        (0.1, 0.1, 2.0),
        (0.1, 0.9, 2.0),
        (1.0, 0.5, 1.0),
    ],
)
def test_weights_rise_over_their_ramp(tiny, ramp, progress, expected):
    experiment = replace(tiny, explicit=PooledFeatures(weight=2.0, ramp=ramp))
    objective = Objective(Cell(experiment=experiment, block=Block(seed=0)), 32)
    assert objective.weights(progress)["explicit"] == pytest.approx(expected)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_learning_rate_ends_near_0(tiny, inputs, schedule):
    run = run_of(replace(tiny, schedule=replace(tiny.schedule, **SCHEDULES[schedule])), inputs)
    rates = []
    for step in range(20):
        rates.append(run.optimizer.rate.learning_rate)
        run.advance(step + 1)
    assert max(rates) <= run.experiment.schedule.learning_rate * (1 + 1e-9)
    assert 0 < rates[-1] < max(rates) / 10


@pytest.mark.parametrize("decay", ["one_cycle", "cosine"])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_shortest_schedules_work(tiny, inputs, decay, steps):
    schedule = Schedule(steps=steps, batch=8, evaluations=1, decay=decay)
    assert curve(run_of(replace(tiny, schedule=schedule), inputs))[-1]["step"] == steps
