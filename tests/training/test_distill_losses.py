"""Every listed loss in the training loop: it trains, is resumed to the last bit and leaves the
teacher alone.
"""

import io
from dataclasses import replace

import pytest
import torch
from losses import RECIPES

from dfkd.data.images.transforms import Crop
from dfkd.experiment import Cell, Experiment, Schedule
from dfkd.method.losses import (
    CRD,
    DKD,
    EXPLICIT,
    LOSSES,
    Both,
    FitNet,
    NTXent,
    Similarity,
    TeacherContrast,
    needs_of,
)
from dfkd.seeding import Block
from dfkd.training.distill import Inputs, Run

SCHEDULE = Schedule(steps=8, batch=16, evaluations=2, learning_rate=1e-3)
each_loss = pytest.mark.parametrize("kind", LOSSES, ids=lambda kind: kind.__name__)


def with_loss(tiny: Experiment, kind: type, weight: float = 1.0) -> Experiment:
    """Only this loss beside KD; views, because some losses compare two."""
    part = "explicit" if kind in EXPLICIT else "implicit"
    none = replace(
        tiny, explicit=None, implicit=None, views=Crop(padding=1, flip=False), schedule=SCHEDULE
    )
    return replace(none, **{part: RECIPES[kind](weight)})


def run_of(experiment: Experiment, inputs: Inputs, seed: int = 0) -> Run:
    return Run(Cell(experiment=experiment, block=Block(seed=seed)), inputs)


def state(run: Run) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in run.objective.state_dict().items()}


@each_loss
def test_a_loss_trains_and_moves_all_that_it_trains(tiny, inputs, kind):
    run = run_of(with_loss(tiny, kind), inputs)
    before = state(run)
    run.advance(4)
    point = run.evaluate()
    name = "explicit" if kind in EXPLICIT else "implicit"
    assert 0 < point[f"train.{name}"] < 1e4
    assert point["train.total"] > point["train.kd"]
    for parameter, value in run.objective.named_parameters():
        assert not value.equal(before[parameter]), parameter


@each_loss
def test_a_loss_changes_what_the_student_learns_but_not_its_start(tiny, inputs, kind):
    plain = run_of(replace(with_loss(tiny, kind), explicit=None, implicit=None), inputs)
    run = run_of(with_loss(tiny, kind, weight=3.0), inputs)
    students = [r.objective.student.state_dict() for r in (plain, run)]
    assert all(students[0][name].equal(students[1][name]) for name in students[0])
    plain.advance(4)
    run.advance(4)
    assert any(not students[0][name].equal(students[1][name]) for name in students[0])


@each_loss
def test_a_resumed_run_is_the_uninterrupted_one(tiny, inputs, kind):
    """What a loss trains and remembers as well."""
    calm = run_of(with_loss(tiny, kind), inputs)
    calm.advance(3)
    file = io.BytesIO()
    torch.save(calm.state(), file)
    file.seek(0)
    resumed = run_of(with_loss(tiny, kind), inputs)
    resumed.restore(torch.load(file, weights_only=True))
    for run in (calm, resumed):
        run.advance(8)
    mine, others = state(calm), state(resumed)
    assert mine.keys() == others.keys() and all(mine[name].equal(others[name]) for name in mine)
    assert calm.evaluate() == resumed.evaluate()


@each_loss
def test_no_gradient_reaches_the_teacher_and_its_weights_stay(tiny, inputs, kind):
    run = run_of(with_loss(tiny, kind), inputs)
    rows_B = run.batch(0)
    answers = run.answers(rows_B, 0, run.views(rows_B, 0)[0])
    assert not any(t.requires_grad for t in (answers.logits_BK, answers.features_BD, *answers.maps))
    run.advance(2)
    assert (run.teacher is not None) == bool(needs_of(RECIPES[kind](1.0)) & {"maps", "second_view"})
    if run.teacher is not None:
        after = run.teacher.network.network.state_dict()
        assert not run.teacher.network.training
        assert all(value.equal(after[name]) for name, value in inputs.teacher.weights.items())


def test_one_loss_does_not_move_anothers_start(tiny, inputs):
    alone, beside = (
        run_of(replace(with_loss(tiny, CRD), explicit=explicit), inputs)
        .objective.losses["implicit"]
        .state_dict()
        for explicit in (None, RECIPES[FitNet](1.0))
    )
    assert all(alone[name].equal(beside[name]) for name in alone)


def test_dkd_trains_in_the_place_of_kd(tiny, inputs):
    kd, dkd = (run_of(replace(tiny, kd=kd, schedule=SCHEDULE), inputs) for kd in (tiny.kd, DKD()))
    for run in (kd, dkd):
        run.advance(4)
    assert dkd.evaluate()["train.kd"] != kd.evaluate()["train.kd"]
    assert dkd.experiment.params()["kd"] == "dkd"


def test_what_is_remembered_is_by_place_among_the_selected_rows(tiny, inputs):
    run = run_of(with_loss(tiny, CRD), inputs)
    rows_B = run.batch(0)
    answers = run.answers(rows_B, 0, run.views(rows_B, 0)[0])
    teacher = run.addressed(answers, rows_B, 0)
    assert (run.rows_N[teacher.rows_B.numpy()] == rows_B).all()
    assert len(run.objective.losses["implicit"].student.bank_NE) == len(run.rows_N)
    assert run.addressed(answers, rows_B, 1).seed != teacher.seed


def test_a_second_view_is_another_view_of_the_same_images(tiny, inputs):
    run = run_of(with_loss(tiny, NTXent), inputs)
    rows_B = run.batch(0)
    one, other = run.views(rows_B, 0)
    assert one.shape == other.shape and not one.equal(other)
    assert one.equal(
        run_of(replace(with_loss(tiny, NTXent), implicit=None), inputs).views(rows_B, 0)[0]
    )
    student = run.objective.look([one, other])
    assert student.features_BD.shape == student.second.features_BD.shape == (16, 32)


def test_two_views_need_views(tiny):
    with pytest.raises(
        ValueError, match=r"NTXent compares two views of an image, but got self\.views=None"
    ):
        replace(tiny, implicit=NTXent(), views=None)
    assert replace(tiny, implicit=NTXent(weight=0.0), views=None).fingerprint()


def test_two_losses_in_one_place_are_two_terms_with_their_own_weights(tiny, inputs):
    pair = Both(first=NTXent(weight=2.0, ramp=0.0), second=TeacherContrast(weight=0.5, ramp=0.0))
    run = run_of(replace(with_loss(tiny, NTXent), implicit=pair), inputs)
    terms = run.loss(0)
    assert set(terms) == {"kd", "implicit_first", "implicit_second", "total"}
    expected = terms["kd"] + 2.0 * terms["implicit_first"] + 0.5 * terms["implicit_second"]
    assert terms["total"].item() == pytest.approx(expected.item())
    run.advance(4)
    assert run.evaluate()["train.implicit_second"] > 0


def test_a_pair_is_no_pair_where_one_weighs_nothing(tiny):
    alone, pair = (
        Similarity(weight=2.0),
        Both(first=NTXent(weight=0.0), second=Similarity(weight=2.0)),
    )
    assert replace(tiny, implicit=pair).fingerprint() == replace(tiny, implicit=alone).fingerprint()
    nothing = Both(first=NTXent(weight=0.0), second=Similarity(weight=0.0))
    assert (
        replace(tiny, implicit=nothing).fingerprint() == replace(tiny, implicit=None).fingerprint()
    )
    with pytest.raises(ValueError, match="a pair of losses holds two losses, not pairs"):
        Both(first=pair, second=alone)
