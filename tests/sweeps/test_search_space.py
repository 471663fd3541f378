"""A space around another recipe, and with values that are set: --recipe, --set and --steps."""

from collections.abc import Callable

import optuna
import pytest

from dfkd.experiment.recipes import RECIPES
from dfkd.sweeps.rehearsal import rehearse
from dfkd.sweeps.search_space import SearchSpace
from dfkd.sweeps.sweep import Sweep

HEAD = """
from dataclasses import replace
from dfkd import choose, recipes
from dfkd.method.losses import RKD, PooledFeatures, Similarity
from dfkd.method.selection import Balanced
default = recipes.digits()
def space(trial):
"""
DIGITS = {
    "selection.ratio": 0.25,
    "dropping.rate": 0.3,
    "kd.temperature": 2.0,
    "explicit.weight": 0.0,
    "implicit.weight": 2.0,
    "schedule.learning_rate": 0.01,
}


def space_of(sweep: Sweep) -> SearchSpace:
    space = sweep.search_space()
    rehearse(space.ask, sweep.first_cell())  # as the driver does
    return space


@pytest.fixture
def written(write_module: Callable[..., None]) -> Callable[[str], str]:
    """`written(body)`: the name of a module whose space has this body."""

    def write(body: str) -> str:
        write_module("space_around", HEAD + body)
        return "space_around"

    return write


def test_set_values_hold_in_the_default_and_in_every_trial() -> None:
    values = {"schedule.steps": "50", "views": "crop"}
    sweep = Sweep(space="search_spaces.digits", values=values)
    made = space_of(sweep).ask(optuna.trial.FixedTrial(DIGITS))
    plain = Sweep(space="search_spaces.digits").search_space().ask(optuna.trial.FixedTrial(DIGITS))
    assert {name for name in made.diff(plain) if not name.startswith("views")} == {"schedule.steps"}
    assert made.views is not None and sweep.default().schedule.steps == made.schedule.steps == 50


def test_what_is_set_is_not_searched() -> None:
    space = space_of(Sweep(space="search_spaces.digits", values={"selection.ratio": "0.9"}))
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
    assert space.ask(trial).params()["selection.ratio"] == 0.9  # beyond the space's range as well
    assert "selection.ratio" not in trial.params and len(trial.params) == 5


def test_around_another_recipe_a_trial_changes_what_the_space_asks_for_and_nothing_else() -> None:
    recipe = RECIPES["digits_energy"]()
    sweep = Sweep(space="search_spaces.digits", recipe="digits_energy")
    space = space_of(sweep)
    assert sweep.default() == recipe
    made = space.ask(optuna.trial.FixedTrial(DIGITS))
    assert made.selection.ratio == 0.25 and type(made.selection) is type(recipe.selection)
    assert made.explicit is None and made.sampling == recipe.sampling
    # the value of the space's own default counts as well: dropping.rate 0.3 is not the recipe's
    assert made.params()["dropping.rate"] == 0.3
    assert space.first_trial().params["selection.ratio"] == recipe.selection.ratio


def test_a_piece_set_to_none_takes_its_parameters_along() -> None:
    space = space_of(Sweep(space="search_spaces.digits", values={"implicit": "none"}))
    assert space.ask(optuna.trial.FixedTrial(DIGITS)).implicit is None


def test_a_piece_of_another_kind_keeps_the_searched_weight() -> None:
    space = space_of(Sweep(space="search_spaces.digits", values={"implicit": "rkd"}))
    made = space.ask(optuna.trial.FixedTrial(DIGITS))
    assert made.params()["implicit"] == "rkd" and made.params()["implicit.weight"] == 2.0
    without = space.ask(optuna.trial.FixedTrial({**DIGITS, "implicit.weight": 0.0}))
    assert without.implicit is None  # weight 0 leaves the loss out, whatever its kind


def test_choices_that_json_has_not_stand_by_their_names(written: Callable[[str], str]) -> None:
    body = """
    import enum, math
    kind = enum.Enum("Kind", {"LESS": 0.1, "MORE": 0.4}, type=float)
    ratio = trial.suggest_categorical("ratio", list(kind)).value
    weight = trial.suggest_categorical("weight", [math.nan, math.inf, 2.0])
    implicit = Similarity(weight=weight) if math.isfinite(weight) else None
    return replace(default, selection=Balanced(ratio=ratio), implicit=implicit)
"""
    space = space_of(Sweep(space=written(body)))
    for params in ({"ratio": "MORE", "weight": "nan"}, {"ratio": "LESS", "weight": 2.0}):
        made = space.ask(optuna.trial.FixedTrial(params)).params()
        assert made["selection.ratio"] == (0.4 if params["ratio"] == "MORE" else 0.1)
        assert (made["implicit"] == "none") == (params["weight"] == "nan")


def test_optunas_older_names_and_numbers_of_numpy_are_taken(written: Callable[[str], str]) -> None:
    body = """
    import numpy as np
    ratio = np.float32(trial.suggest_uniform("selection.ratio", 0.1, 0.9))
    rate = trial.suggest_loguniform("schedule.learning_rate", 1e-4, 1e-2)
    weight = trial.suggest_discrete_uniform("implicit.weight", 1, 3, 0.5)
    schedule = replace(default.schedule, learning_rate=rate, batch=np.int64(32))
    implicit = replace(default.implicit, weight=weight)
    return replace(default, selection=Balanced(ratio=ratio), schedule=schedule, implicit=implicit)
"""
    space = space_of(Sweep(space=written(body), values={"implicit.weight": "1.5"}))
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
    made = space.ask(trial).params()
    assert list(trial.params) == ["selection.ratio", "schedule.learning_rate"]
    assert made["implicit.weight"] == 1.5 and type(made["schedule.batch"]) is int
    assert made["selection.ratio"] == pytest.approx(trial.params["selection.ratio"], rel=1e-6)
    assert trial.distributions["schedule.learning_rate"].log


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("    return default, 0.5\n", "must return an Experiment, but got a tuple$"),
        ("    yield default\n", "must return an Experiment, but got a generator$"),
        (
            """
    import random
    temperature = trial.suggest_float("kd.temperature", 1.0, 9.0) + random.choice([0, 1])
    return replace(default, kd=replace(default.kd, temperature=temperature))
""",
            "makes another experiment each time",
        ),
        (
            """
    ratio = trial.suggest_float("selection.ratio", 0.1, 0.9)
    return replace(default, selection=Balanced(ratio=ratio, fill=[True]))
""",
            "^balanced cannot be told apart by its fields .*the field fill must hold a scalar",
        ),
    ],
)
def test_a_space_that_makes_no_experiment_or_ever_another_is_one_line(
    written: Callable[[str], str], body: str, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        space_of(Sweep(space=written(body)))


def test_a_choice_by_name_can_be_set(written: Callable[[str], str]) -> None:
    body = """
    options = {"rkd": RKD(weight=1.0), "none": None, "similarity": default.implicit}
    kd = replace(default.kd, temperature=trial.suggest_float("kd.temperature", 1.0, 9.0))
    return replace(default, kd=kd, implicit=choose(trial, "implicit", options))
"""
    name = written(body)
    space = space_of(Sweep(space=name, values={"implicit": "rkd"}))
    made = space.ask(optuna.trial.FixedTrial({"kd.temperature": 4.0}))
    assert made.params()["implicit"] == "rkd"
    with pytest.raises(ValueError, match=r"'implicit' of the space has no 'crd': did you mean rkd"):
        space_of(Sweep(space=name, values={"implicit": "crd"}))


def test_what_the_space_chooses_under_another_name_cannot_be_set(
    written: Callable[[str], str],
) -> None:
    body = """
    ratio = trial.suggest_float("share", 0.1, 0.9)
    return replace(default, selection=Balanced(ratio=ratio))
"""
    sweep = Sweep(space=written(body), values={"selection.ratio": "0.2"})
    with pytest.raises(ValueError, match=r"selection\.ratio cannot be set: the space chooses it"):
        space_of(sweep)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"recipe": "digits_energy"}, {}),
        ({"values": {"schedule.steps": "50"}}, {}),
        ({"values": {"selection.ratio": "0.1"}}, {}),  # the default's value, but not searched
        ({"values": {"schedule.steps": "50"}}, {"values": {"schedule.steps": "60"}}),
    ],
)
def test_other_values_are_another_sweep(one: dict[str, object], other: dict[str, object]) -> None:
    names = {Sweep(space="search_spaces.digits", **sides).name() for sides in (one, other)}
    assert len(names) == 2
    plain = Sweep(space="search_spaces.digits").name()
    assert plain == "digits-174ed102"  # as recorded by earlier versions


def test_a_value_that_does_not_fit_is_one_line() -> None:
    with pytest.raises(ValueError, match=r"selection\.ratio"):
        Sweep(space="search_spaces.digits", values={"selection.ratoi": "0.1"}).search_space()
    with pytest.raises(ValueError, match="there is no recipe 'digit'"):
        Sweep(space="search_spaces.digits", recipe="digit").search_space()
