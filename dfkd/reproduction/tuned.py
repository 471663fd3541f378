"""What the protocol's tuning chose for the rivals on the small tasks, so that none is handicapped.

Of six settings the one with the highest probe, no label read: docs/protocol.md; the numbers stand
in docs/measured.md ("Chosen settings" of the second round; for the earlier recipe those of the
first).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import cast

from dfkd.experiment import Experiment, recipes
from dfkd.method.losses import KD
from dfkd.method.selection import Balanced
from dfkd.reproduction.rows import DFND, EARLIER, GENERATOR, LABELS, ORACLE, RANDOM


@dataclass(frozen=True, kw_only=True)
class Setting:
    """rate, budget: times the method's learning rate and the recipe's ratio; temperature: of KD."""

    rate: float
    budget: float = 1.0
    temperature: float


# KD on original takes all images, and the generator's student all of its own: no budget
CHOSEN: Mapping[str, Mapping[str, Setting]] = {
    "digits": {
        ORACLE: Setting(rate=1, temperature=4.0),
        RANDOM: Setting(rate=8, temperature=2.0),
        DFND: Setting(rate=1 / 4, budget=4, temperature=2.0),
        GENERATOR: Setting(rate=8, temperature=4.0),
        EARLIER: Setting(rate=8, temperature=2.0),
    },
    "fashion": {
        ORACLE: Setting(rate=8, temperature=4.0),
        RANDOM: Setting(rate=4, budget=4, temperature=2.0),
        DFND: Setting(rate=1 / 4, budget=4, temperature=2.0),
        GENERATOR: Setting(rate=8, temperature=4.0),
        EARLIER: Setting(rate=8, temperature=2.0),
    },
}
MADE: Mapping[str, Callable[[Experiment], Experiment]] = {
    ORACLE: recipes.original,
    RANDOM: recipes.random,
    DFND: recipes.dfnd,
    GENERATOR: lambda e: recipes.generator(e, rate=1.0),
    EARLIER: lambda e: e,
}


def tuned_rivals(earlier: Experiment, table: str) -> dict[str, Experiment]:
    """Return the rivals of a table's full method, each at its setting; earlier: the recipe before.

    "labels" was not tuned: it has the learning rate of "KD on original".
    """
    found = {name: _at(setting, MADE[name], earlier) for name, setting in CHOSEN[table].items()}
    return {LABELS: recipes.labels(found[ORACLE])} | found


def _at(
    setting: Setting, made: Callable[[Experiment], Experiment], earlier: Experiment
) -> Experiment:
    selection = cast(Balanced, earlier.selection)
    ratio = setting.budget * cast(float, selection.ratio)
    method = made(replace(earlier, selection=replace(selection, ratio=ratio)))
    rate = setting.rate * method.schedule.learning_rate
    return replace(
        method,
        kd=KD(temperature=setting.temperature),
        schedule=replace(method.schedule, learning_rate=rate),
    )
