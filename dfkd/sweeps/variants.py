"""A variant as what it changes in a recipe, so that other settings can be changed alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from dfkd.experiment import Experiment
from dfkd.experiment.rebuild import changed, modules_of
from dfkd.identity import Scalar
from dfkd.sweeps.rehearsal import near_default
from dfkd.sweeps.spaces import SpaceTrial

Space = Callable[[Any], Experiment]


@dataclass(frozen=True, kw_only=True)
class Change:
    """The parameters in which a variant differs from the recipe; all others stay free.

    "without selection" holds the rule "random", not its ratio, which both rules have: that can
    still be tuned.
    """

    held: tuple[str, ...]  # names of the parameters
    params: Mapping[str, Scalar]  # all of the variant's

    @classmethod
    def of(cls, variant: Experiment, recipe: Experiment, named: Iterable[str] = ()) -> Change:
        """Return the change that makes this variant of the recipe.

        named: parameters that it holds as well where they do not differ.
        """
        params = variant.params()
        differing = [name for name, (mine, _) in variant.diff(recipe).items() if mine is not None]
        same = [name for name in named if name in params and name not in differing]
        return cls(held=(*differing, *same), params=params)

    def __call__(self, setting: Experiment) -> Experiment:
        """Return the variant of this setting. Raises ValueError where it cannot be made."""
        there, changes = setting.params(), dict[str, str]()
        for name in self.held:
            piece = name.split(".")[0]
            # of weight 0, say: bring it back
            gone = there.get(piece) == "none" and self.params.get(piece) != "none"
            names = [n for n in self.params if n.split(".")[0] == piece] if gone else [name]
            changes |= {n: str(self.params[n]) for n in names}
        return changed(setting, changes, modules_of(self.params))


def without_effect(
    space: Space, default: Mapping[str, Scalar], change: Change
) -> tuple[dict[str, Scalar], bool]:
    """Return parameters of the space that make no difference to the variant, at their defaults.

    Also returns whether any others make one. The weight of a loss that the variant leaves out, say,
    or the ratio where the study varies it: a search over these would compute the same cell again
    and again.
    """
    trial = near_default(default)
    try:
        here = change(space(SpaceTrial(trial))).fingerprint()
    except optuna.TrialPruned:
        here = None

    def matters(name: str, distribution: BaseDistribution) -> bool:
        return any(
            _at(space, change, {**trial.params, name: value}) != here
            for value in _extremes(distribution)
        )

    idle = [name for name, found in trial.distributions.items() if not matters(name, found)]
    return {name: trial.params[name] for name in idle}, len(idle) < len(trial.distributions)


def _at(space: Space, change: Change, params: Mapping[str, Any]) -> str | None:
    """Return the variant's fingerprint there; None where the space has other parameters."""
    try:
        return change(space(SpaceTrial(optuna.trial.FixedTrial(dict(params))))).fingerprint()
    except (ValueError, optuna.TrialPruned):
        return None


def _extremes(distribution: BaseDistribution) -> Iterator[Any]:
    if isinstance(distribution, FloatDistribution | IntDistribution):
        yield from (distribution.low, distribution.high)
    elif isinstance(distribution, CategoricalDistribution):
        yield from distribution.choices
