"""Contracts: a class that declares only what it must works as one that inherits the defaults.

B batch, K classes, N rows.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from dfkd.identity import name_of, spec
from dfkd.method.defaults import with_defaults
from dfkd.method.dropping import DROPPINGS, BaseDropping
from dfkd.method.losses import KDS, LOSSES, BaseAnswerLoss, BaseLoss, Both, PooledFeatures
from dfkd.method.selection import SELECTIONS, BaseSelection, Dynamic
from dfkd.testing.runs import run_of


@dataclass(frozen=True, kw_only=True)
class MyLoss:
    """Mean features that agree."""

    weight: float
    ramp: float = 0.0
    version: ClassVar[int] = 1

    def module(self, sizes):
        return MyModule()


class MyModule(nn.Module):
    """What MyLoss computes, and a number that it trains."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, student, teacher):
        return (student.features_BD.mean() - self.scale * teacher.features_BD.mean()) ** 2


@dataclass(frozen=True, kw_only=True)
class MyAdversary(MyLoss, BaseLoss):
    """The same loss, trained by an Adam of its own."""

    own_learning_rate: ClassVar[float | None] = 0.25


@dataclass(frozen=True, kw_only=True)
class MyRule:
    """The first rows."""

    ratio: float | None = None
    rows: int | None = None
    version: ClassVar[int] = 1

    def select(self, scores, seed):
        return np.arange(self.rows)


@dataclass(frozen=True, kw_only=True)
class MyDropping:
    """The last class is dropped, unless it is the answer."""

    version: ClassVar[int] = 1
    masks_student: ClassVar[bool] = False

    def canonical(self, classes):
        return self

    def keep(self, logits_BK, generator, temperature=1.0):
        keep_BK = torch.ones_like(logits_BK, dtype=torch.bool)
        keep_BK[:, -1] = logits_BK.argmax(1) == logits_BK.shape[1] - 1
        return keep_BK


@dataclass(frozen=True, kw_only=True)
class MyKD:
    """Cross-entropy with the teacher's answer."""

    version: ClassVar[int] = 1

    def __call__(self, student_BK, teacher_BK, keep_BK, masks_student):
        return nn.functional.cross_entropy(student_BK, teacher_BK.softmax(1))


@pytest.mark.parametrize(
    ("pieces", "base"),
    [
        (SELECTIONS, BaseSelection),
        (DROPPINGS, BaseDropping),
        ((*LOSSES, Both), BaseLoss),
        (KDS, BaseAnswerLoss),
    ],
    ids=["selections", "droppings", "losses", "kd"],
)
def test_ours_inherit_their_defaults(pieces, base):
    for piece in (kind.example() for kind in pieces):
        assert isinstance(piece, base)
        assert with_defaults(piece, base) is piece


@pytest.mark.parametrize(
    ("piece", "base"),
    [
        (MyLoss(weight=1.0), BaseLoss),
        (MyRule(rows=3), BaseSelection),
        (MyDropping(), BaseDropping),
        (MyKD(), BaseAnswerLoss),
    ],
    ids=name_of,
)
def test_what_a_class_leaves_out_is_completed_without_another_identity(piece, base):
    whole = with_defaults(piece, base)
    assert isinstance(whole, base) and isinstance(whole, type(piece))
    assert spec(whole) == spec(piece)
    assert not isinstance(piece, base)  # the user's class is as it was


def test_a_member_that_a_class_declares_is_not_overridden():
    class Reads(MyKD):
        temperature = 7.0

    assert with_defaults(Reads(), BaseAnswerLoss).temperature == 7.0
    assert with_defaults(MyKD(), BaseAnswerLoss).temperature == 1.0


def test_pieces_that_declare_only_what_they_must_train(tiny, inputs):
    mine = replace(
        tiny,
        selection=MyRule(rows=64),
        dropping=MyDropping(),
        kd=MyKD(),
        explicit=MyLoss(weight=2.0),
        implicit=Both(first=MyLoss(weight=1.0), second=PooledFeatures(weight=1.0)),
    )
    assert type(mine.canonical().explicit) is MyLoss
    run = run_of(mine, inputs)
    assert run.rows_N.max() < 64 + len(inputs.probe.rows_P)
    run.advance(4)
    point = run.evaluate()
    assert {"train.explicit", "train.implicit_first", "train.implicit_second"} <= point.keys()
    assert 9 <= point["kept_classes"] <= 10


def test_a_rule_of_a_users_own_may_be_drawn_from_again_and_has_another_budget(tiny, inputs):
    rule = Dynamic(rule=MyRule(rows=32), every=1)
    assert rule.columns is None and rule.once == MyRule(rows=32)
    assert rule.at_budget(rows=16) is not None
    run = run_of(replace(tiny, selection=rule), inputs)
    run.advance(4)
    assert len(run.batches.rows_N) == 16


def test_any_loss_may_bring_an_optimizer_of_its_own(tiny, inputs):
    """One step of Adam moves a weight by its learning rate, whatever the student's optimizer."""
    mine = replace(tiny, explicit=MyAdversary(weight=1.0), implicit=MyLoss(weight=1.0))
    run = run_of(mine, inputs)
    assert run.own_optimizer is not None
    run.advance(1)
    moved = {name: 1 - float(run.objective.losses[name].scale) for name in run.objective.losses}
    assert abs(moved["explicit"]) == pytest.approx(0.25, rel=1e-3)
    assert abs(moved["implicit"]) < 0.01
    in_students = {id(p) for p in run.optimizer.parameters}
    assert id(run.objective.losses["explicit"].scale) not in in_students
    assert id(run.objective.losses["implicit"].scale) in in_students
