"""Schedules: when the probe is evaluated, and what is refused."""

import math

import pytest

from dfkd.experiment import Schedule


@pytest.mark.parametrize(
    ("steps", "evaluations", "expected"),
    [(20, 4, (5, 10, 15, 20)), (10, 3, (3, 6, 10)), (3, 3, (1, 2, 3)), (7, 1, (7,))],
)
def test_evaluations_are_even_and_the_last_is_the_end(steps, evaluations, expected):
    assert Schedule(steps=steps, evaluations=evaluations).evaluation_steps() == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, r"needs 1 step and a batch of 2 or more, but got steps=0"),
        ({"batch": 1}, r"needs 1 step and a batch of 2 or more"),
        ({"evaluations": 0}, r"evaluations must lie in 1..steps"),
        ({"evaluations": 21}, r"evaluations must lie in 1..steps"),
        ({"learning_rate": 0.0}, r"learning_rate must be above 0"),
        ({"learning_rate": math.inf}, r"learning_rate must be above 0"),
        ({"learning_rate": math.nan}, r"learning_rate must be above 0"),
        ({"weight_decay": -1.0}, r"weight_decay 0 or more"),
        ({"optimizer": "adam"}, r'must be "adamw" or "sgd"'),
        ({"decay": "linear"}, r"decay one of \('one_cycle', 'cosine', 'steps'\)"),
    ],
)
def test_impossible_schedules_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Schedule(**{"steps": 20, **change})
