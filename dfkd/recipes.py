"""Recipes: complete, named experiments. The full method and its baselines on the embedded task."""

from __future__ import annotations

from dfkd.data.glyphs import Glyphs
from dfkd.data.tasks import Digits
from dfkd.experiment import Experiment, Schedule
from dfkd.method.dropping import Tail
from dfkd.method.losses import KD, PooledFeatures, Similarity
from dfkd.method.selection import Balanced
from dfkd.models.networks import SmallResNet
from dfkd.models.teachers import SupervisedTeacher


def digits() -> Experiment:
    """The full method on scikit-learn's digits with the embedded glyph pool. A laptop core trains it in seconds."""
    return Experiment(
        task=Digits(),
        pool=Glyphs(),
        teacher=SupervisedTeacher(network=SmallResNet(width=16, stem_stride=2), steps=400),
        student=SmallResNet(width=8, stem_stride=2),
        selection=Balanced(ratio=0.1),
        dropping=Tail(rate=0.3),
        kd=KD(temperature=4.0),
        explicit=PooledFeatures(weight=3.0),
        implicit=Similarity(weight=1.0),
        schedule=Schedule(steps=200, batch=64),
    )


RECIPES = {"digits": digits}
