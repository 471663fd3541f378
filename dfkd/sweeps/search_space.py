"""The space that a search draws from: a user's module, carried over to other recipes and values."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import optuna

from dfkd.experiment import Experiment
from dfkd.experiment.rebuild import changed
from dfkd.identity import Scalar
from dfkd.sweeps.rehearsal import first_trial
from dfkd.sweeps.spaces import SpaceTrial
from dfkd.sweeps.trial import Trial
from dfkd.sweeps.variants import Change
from dfkd.user_modules import load, load_a, users_code


@dataclass(frozen=True, kw_only=True)
class Around:
    """Carries what a space makes over to another recipe, and keeps the values that are set.

    default: the recipe that the space was written around. recipe: the one that takes its place,
    with the values set. values: those of the recipe's parameters that are set: no trial changes
    them, and a space that asks for one by its name gets it.
    """

    default: Experiment
    recipe: Experiment
    values: Mapping[str, Scalar]

    @classmethod
    def of(
        cls, default: Experiment, recipe: Experiment | None, values: Mapping[str, str]
    ) -> Around | None:
        """Return what --recipe and --set say; None where they say nothing.

        Raises ValueError for a value that does not fit the recipe.
        """
        if recipe is None and not values:
            return None
        there = changed(default if recipe is None else recipe, values)
        params = there.params()
        typed = {name: params[name] for name in values}
        return cls(default=default, recipe=there, values=typed)

    def __call__(self, made: Experiment, asked: Iterable[str]) -> Experiment:
        """Return the recipe with what the space has made, by the names that it asked for, in it.

        Raises ValueError where the space makes a set parameter another under some other name.
        """
        change = Change.of(made, self.default, named=asked)
        self._require_free(change, set(asked))
        held = tuple(name for name in change.held if self._is_taken(name, change.params))
        return Change(held=held, params=change.params)(self.recipe)

    def _require_free(self, change: Change, asked: set[str]) -> None:
        clash = [name for name in change.held if name in self.values and name not in asked]
        clash = [name for name in clash if change.params[name] not in ("none", self.values[name])]
        if clash:
            raise ValueError(
                f"{clash[0]} cannot be set: the space chooses it itself, under another name; set "
                "the space's own parameter, or change the space"
            )

    def _is_taken(self, name: str, made: Mapping[str, Scalar]) -> bool:
        """Return whether the recipe takes this parameter from what the space has made.

        Not a set one, nor those of a piece that is set to "none"; a loss of weight 0 is left out,
        whatever its kind.
        """
        piece = name.split(".")[0]
        if name in self.values:
            return "." not in name and made[name] == "none"
        return self.values.get(piece) != "none"


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """A module with `space` and `default`, and what is done to all that it makes.

    around: another recipe, or values that are set; None for the module's own default. change: makes
    the variant that is searched; None for the recipe itself. fixed: parameters of the space that
    are not asked for.
    """

    module: str
    around: Around | None = None
    change: Change | None = None
    fixed: Mapping[str, Scalar] = field(default_factory=dict)

    def recipe(self) -> Experiment:
        """Return the recipe that is searched around."""
        return default_in(self.module) if self.around is None else self.around.recipe

    def default(self) -> Experiment:
        """Return the recipe, or the variant of it that is searched."""
        recipe = self.recipe()
        return recipe if self.change is None else self.change(recipe)

    def ask(self, trial: Any) -> Experiment:
        """Return the experiment that the space makes of a trial.

        Raises ValueError where that is no experiment.
        """
        make = space_in(self.module)
        values = {} if self.around is None else self.around.values
        seen = SpaceTrial(trial, MappingProxyType({**values, **self.fixed}))
        with users_code(passing=(optuna.TrialPruned,)):
            made = make(seen)
        if not isinstance(made, Experiment):
            got = "None" if made is None else f"a {type(made).__name__}"
            raise ValueError(f"{self.module}.space(trial) must return an Experiment, but got {got}")
        if self.around is not None:
            made = self.around(made, seen.asked)
        return made if self.change is None else self.change(made)

    def first_trial(self) -> Trial:
        """Return the trial that is run first: the default, whether the space makes it or not."""
        return first_trial(self.ask, self.default(), self.recipe().params())

    def recorded(self, trials: Iterable[Trial]) -> Iterator[Experiment]:
        """Yield what the space makes now of the parameters of each trial that was begun.

        A trial of which it makes nothing any more is left out.
        """
        for trial in trials:
            if trial.is_default:
                yield self.default()
                continue
            with contextlib.suppress(ValueError, optuna.TrialPruned):
                yield self.ask(optuna.trial.FixedTrial(dict(trial.params)))


def default_in(module: str) -> Experiment:
    """Return the recipe that the space in this module was written around."""
    return load_a(Experiment, module, "default", "search_spaces")


def space_in(module: str) -> Callable[[Any], Any]:
    """Return the function with which this module makes an experiment of a trial."""
    space: Callable[[Any], Any] = load(module, "space", "search_spaces")
    try:
        inspect.signature(space).bind(None)
    except TypeError as error:
        raise ValueError(
            f"{module}.space must be a function of one argument, the trial ({error})"
        ) from error
    return space
