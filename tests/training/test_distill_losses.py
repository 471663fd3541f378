"""Losses in the training loop: their starts, places, views and pairs. All promise: LossSuite."""

from dataclasses import replace

import pytest

from dfkd.data.images.transforms import Crop
from dfkd.experiment import Experiment, Schedule
from dfkd.method.losses import CRD, DKD, Both, FitNet, NTXent, Similarity, TeacherContrast
from dfkd.testing.runs import run_of

SCHEDULE = Schedule(steps=8, batch=16, evaluations=2, learning_rate=1e-3)


def with_loss(tiny: Experiment, kind: type, weight: float = 1.0) -> Experiment:
    """Only this loss beside KD; views, because some losses compare two."""
    alone = replace(
        tiny, explicit=None, implicit=None, views=Crop(padding=1, flip=False), schedule=SCHEDULE
    )
    return replace(alone, implicit=replace(kind.example(), weight=weight))


def test_one_loss_does_not_move_anothers_start(tiny, inputs):
    alone, beside = (
        run_of(replace(with_loss(tiny, CRD), explicit=explicit), inputs)
        .objective.losses["implicit"]
        .state_dict()
        for explicit in (None, FitNet(weight=1.0))
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
    with pytest.raises(ValueError, match="NTXent compares two views of an image"):
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
