"""A user's own search space for a sweep of seconds; tests copy it into a temporary folder."""

from dataclasses import replace

from dfkd.data.pools.glyphs import Glyphs
from dfkd.data.tasks import Digits
from dfkd.experiment import Experiment, Schedule
from dfkd.method.dropping import Tail
from dfkd.method.losses import PooledFeatures, Similarity
from dfkd.method.selection import Balanced
from dfkd.models.networks import SmallResNet
from dfkd.models.teachers import SupervisedTeacher

default = Experiment(
    task=Digits(),
    pool=Glyphs(rows=800),
    teacher=SupervisedTeacher(network=SmallResNet(width=8, stem_stride=2), steps=60),
    student=SmallResNet(width=8, stem_stride=2),
    selection=Balanced(ratio=0.5),
    dropping=Tail(rate=0.3),
    explicit=PooledFeatures(weight=1.0),
    implicit=Similarity(weight=1.0),
    schedule=Schedule(steps=30, batch=16, evaluations=3),
)


def space(trial) -> Experiment:
    """One of the learning rates is absurd: such trials diverge, and the sweep goes on."""
    learning_rate = trial.suggest_categorical("schedule.learning_rate", [5e-3, 1e6])
    return replace(
        default,
        selection=Balanced(ratio=trial.suggest_float("selection.ratio", 0.1, 0.9)),
        schedule=replace(default.schedule, learning_rate=learning_rate),
    )
