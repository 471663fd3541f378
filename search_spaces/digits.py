"""What the main job searches: selection ratio, class dropping, loss weights, temperature and learning rate on digits.

`python -m platform.sweep search_spaces.digits`
"""

from dataclasses import replace

import optuna

from dfkd import recipes
from dfkd.experiment import Experiment
from dfkd.method.dropping import Tail
from dfkd.method.losses import KD, PooledFeatures, Similarity
from dfkd.method.selection import Balanced

default = recipes.digits()


def space(trial: optuna.trial.BaseTrial) -> Experiment:
    """Parameter names are those that MLflow shows: the experiment's own, dotted."""
    return replace(
        default,
        selection=Balanced(ratio=trial.suggest_float("selection.ratio", 0.02, 0.5, log=True)),
        dropping=Tail(rate=trial.suggest_float("dropping.rate", 0.0, 0.8, step=0.1)),
        kd=KD(temperature=trial.suggest_float("kd.temperature", 1.0, 10.0, log=True)),
        explicit=PooledFeatures(weight=trial.suggest_float("explicit.weight", 0.0, 10.0, step=0.5)),
        implicit=Similarity(weight=trial.suggest_float("implicit.weight", 0.0, 4.0, step=0.25)),
        schedule=replace(
            default.schedule,
            learning_rate=trial.suggest_float("schedule.learning_rate", 1e-3, 5e-2, log=True),
        ),
    )
