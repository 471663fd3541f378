"""docs/writing_spaces.md, run as it is written: its space makes what the page says."""

import re
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from commands import ROOT

from dfkd import recipes
from dfkd.experiment import Experiment
from dfkd.experiment.recipes import RECIPES
from dfkd.method.losses import RKD
from dfkd.method.selection import Balanced, Random
from dfkd.sweeps.rehearsal import rehearse
from dfkd.sweeps.sweep import Sweep

PAGE = (ROOT / "docs" / "writing_spaces.md").read_text(encoding="utf-8")
[SPACE] = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
BUDGET = "(400, 0.0025)"
BALANCED = {"dropping.rate": 0.5, "rule": "balanced", "ratio": 0.2, "loss": "rkd", "budget": BUDGET}
RANDOM = {"dropping.rate": 0.5, "rule": "random", "rows": 128, "loss": "none", "budget": BUDGET}


@pytest.fixture
def made(write_module: Callable[..., None]) -> Callable[..., Experiment]:
    """`made(params, **options)`: the experiment of a trial, with the options of a sweep."""
    write_module("my_space", SPACE)

    def make(params: dict[str, Any], **options: Any) -> Experiment:
        sweep = Sweep(space="my_space", **options)
        space = sweep.search_space()
        rehearse(space.ask, sweep.first_cell())
        return space.ask(optuna.trial.FixedTrial(params))

    return make


def test_the_space_makes_what_it_says(made: Callable[..., Experiment]) -> None:
    experiment = made(BALANCED)
    assert experiment.selection == Balanced(ratio=0.2) and experiment.implicit == RKD(weight=1.0)
    assert (experiment.schedule.steps, experiment.schedule.learning_rate) == (400, 0.0025)
    assert made(RANDOM | {"rows": 200}).selection == Random(rows=200)
    with pytest.raises(optuna.TrialPruned, match="too little"):
        made(RANDOM)


def test_another_recipe_is_changed_where_the_space_changes_its_own(
    made: Callable[..., Experiment],
) -> None:
    experiment, recipe = made(BALANCED, recipe="fashion"), RECIPES["fashion"]()
    assert (experiment.task, experiment.pool) == (recipe.task, recipe.pool) != recipes.digits().task
    assert experiment.dropping == made(BALANCED).dropping and experiment.schedule.steps == 400


def test_what_is_set_is_not_asked_for_and_what_a_tuple_decides_cannot_be_set(
    made: Callable[..., Experiment],
) -> None:
    asked = {name: value for name, value in BALANCED.items() if name != "dropping.rate"}
    values = {"dropping.rate": "0.3", "explicit": "none"}
    experiment = made(asked, values=values)
    assert experiment.params()["dropping.rate"] == 0.3 and experiment.explicit is None
    with pytest.raises(ValueError, match=r"schedule\.steps cannot be set: the space chooses it"):
        made(asked, values={**values, "schedule.steps": "100"})
