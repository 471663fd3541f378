"""A space is tried without computing: faults come to light early, and where the default lies."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from dfkd.experiment import Cell, Experiment
from dfkd.identity import Scalar
from dfkd.sweeps.trial import Trial
from dfkd.training.inputs import inputs_key

Ask = Callable[[Any], Experiment]  # makes an experiment of a trial
DRAWS = 32
SHARED = ("task", "pool", "teacher", "cache")


class _NearDefault(optuna.samplers.RandomSampler):
    """Samples the default's value where the space can take it, else a random one."""

    def __init__(self, default: Mapping[str, Scalar]) -> None:
        super().__init__(seed=0)
        self._default = default

    def sample_independent(
        self, study: Any, trial: Any, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        value = self._default.get(param_name)
        if value is not None and _contains(param_distribution, value):
            return value
        return super().sample_independent(study, trial, param_name, param_distribution)


def near_default(default: Mapping[str, Scalar]) -> optuna.Trial:
    """Return a trial that suggests the default's values, and others where it has none that fit."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(sampler=_NearDefault(default)).ask()


def first_trial(ask: Ask, default: Experiment, params: Mapping[str, Scalar]) -> Trial:
    """Return the trial that is run first: the default. params: of the recipe searched around.

    Its parameters are these where the space makes the default of them. Elsewhere it is the
    default as it is, and its parameters are those of the space's that the default has.
    """
    trial = near_default(params)
    try:
        made = ask(trial).fingerprint()
    except (ValueError, optuna.TrialPruned):
        made = ""
    if made == default.fingerprint():
        return Trial(number=0, params=params, cell="", state="running")
    shown = {
        name: params[name]
        for name, distribution in trial.distributions.items()
        if name in params and _is_kind(distribution, params[name])
    }
    return Trial(number=0, params=shown, cell="", state="running", is_default=True)


def rehearse(ask: Ask, first: Cell) -> None:
    """Make a few experiments of the space, the first near the default, and drop them.

    first: the default on the block of all trials. Raises what the space raises, and ValueError
    where no parameter is asked for or one in two ways, where the space prunes all trials, makes
    other experiments of equal parameters, or varies what all trials share.
    """
    default = first.experiment.params()
    sampler = optuna.samplers.RandomSampler(seed=0)
    known: dict[str, BaseDistribution] = {}
    pruned = 0
    for draw in range(DRAWS):
        trial = optuna.create_study(sampler=sampler).ask() if draw else near_default(default)
        try:
            made = ask(trial)
            _require_serves(made, first)
            _require_repeats(ask, trial, made)
        except optuna.TrialPruned:
            pruned += 1
        for name, found in trial.distributions.items():
            _require_alike(name, known.setdefault(name, found), found)
    if pruned == DRAWS:
        raise ValueError(f"the space raised TrialPruned in all of {DRAWS} trials: none is left")
    if not known:
        raise ValueError(
            "the space asks for no parameter beside those that are set, so there is nothing to "
            'search: ask for one, as in trial.suggest_float("kd.temperature", 1.0, 10.0)'
        )


def _require_serves(made: Experiment, first: Cell) -> None:
    """Raise ValueError where an experiment needs other inputs than the default."""
    if inputs_key(replace(first, experiment=made)) == inputs_key(first):
        return
    default = first.experiment.params()
    varied = [name for name, value in made.params().items() if default.get(name) != value]
    shared = [name for name in varied if name.split(".")[0] in SHARED]
    raise ValueError(
        f"all trials of a sweep share task, pool and teacher, and the space varies "
        f"{' and '.join(shared or SHARED)}: compare those as variants of a study"
    )


def _require_repeats(ask: Ask, trial: optuna.Trial, made: Experiment) -> None:
    """Raise ValueError where the space makes another experiment of the same parameters."""
    again = ask(optuna.trial.FixedTrial(dict(trial.params), number=trial.number))
    if again.fingerprint() != made.fingerprint():
        raise ValueError(
            "the space makes another experiment each time it gets the same parameters: it may not "
            "draw by itself, only by the trial's suggest_ methods"
        )


def _require_alike(name: str, one: BaseDistribution, other: BaseDistribution) -> None:
    """Raise ValueError where Optuna would not take both for one parameter."""
    if type(one) is not type(other) or (
        _log(one) != _log(other) or (isinstance(one, CategoricalDistribution) and one != other)
    ):
        raise ValueError(
            f"the space asks for the parameter {name!r} in two ways, {_said(one)} and "
            f"{_said(other)}, and a search can model only one: give it another name in the other "
            f'branch, "{name}_2", say'
        )


def _said(distribution: BaseDistribution) -> str:
    if isinstance(distribution, CategoricalDistribution):
        return f"among {', '.join(map(repr, distribution.choices))}"
    kind = "float" if isinstance(distribution, FloatDistribution) else "int"
    return f"as {kind} on a log scale" if _log(distribution) else f"as {kind}"


def _log(distribution: BaseDistribution) -> bool:
    return isinstance(distribution, FloatDistribution | IntDistribution) and distribution.log


def _is_kind(distribution: BaseDistribution, value: Scalar) -> bool:
    """Return whether the value can stand on the parameter's axis, inside its range or not."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number or isinstance(distribution, CategoricalDistribution)


def _contains(distribution: BaseDistribution, value: Scalar) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    if not isinstance(distribution, FloatDistribution | IntDistribution):
        return False
    if isinstance(value, bool | str) or not distribution.low <= value <= distribution.high:
        return False
    if isinstance(distribution, IntDistribution) and value != int(value):
        return False
    steps = (value - distribution.low) / (distribution.step or 1)
    return distribution.step is None or abs(steps - round(steps)) < 1e-8  # as Optuna has it
