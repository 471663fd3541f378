"""Parameters set on the command line, for every variant of a study or every trial of a sweep."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dfkd.experiment.experiment import Experiment
from dfkd.experiment.rebuild import changed
from dfkd.identity import digest

PLAIN = re.compile(r"[\w.=,+-]+")  # what may stand in a folder's name and an address
LONGEST = 60  # characters of a name


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Called with an experiment, it returns that with these values.

    values: parameter -> text, as for `rebuild.changed`. base: the recipe that they are set in. What
    an experiment itself changes in the base it keeps: the variant without dropping has no dropping
    rate to set, and a study of that rate keeps its rates.
    """

    values: Mapping[str, str]
    base: Experiment

    def __call__(self, experiment: Experiment) -> Experiment:
        return changed(experiment, self._own(experiment))

    def _own(self, experiment: Experiment) -> dict[str, str]:
        """Return the values that are set in this experiment."""
        here, there = experiment.params(), self.base.params()
        same = {name for name in self.values if here.get(name) == there.get(name)}
        other = self.values.keys() - same  # "dropping", say: its rate is then another's
        return {
            name: value
            for name, value in self.values.items()
            if name in same and not any(name.startswith(f"{piece}.") for piece in other)
        }

    def lines(self) -> list[str]:
        """Return what is set, a line for each parameter of the base that it changes."""
        return lines(self(self.base), self.base)


def lines(new: Experiment, base: Experiment) -> list[str]:
    """Return how one differs from the other, a line for each parameter."""
    pairs = new.diff(base).items()
    return [f"{name}: {here} instead of {before}" for name, (here, before) in pairs]


def suffix(values: Mapping[str, str]) -> str:
    """Return what a study's or sweep's name says of values that are set, the same for the same."""
    text = ",".join(f"{name}={value}" for name, value in sorted(values.items()))
    readable = len(text) <= LONGEST and PLAIN.fullmatch(text)
    return text if readable else digest(dict(sorted(values.items())), 8)


def values_of(given: Mapping[str, str], steps: int | None) -> dict[str, str]:
    """Return what is set, `--steps` included. Raises ValueError where both name the steps."""
    if steps is None:
        return dict(given)
    if "schedule.steps" in given:
        raise ValueError("name the steps once: --steps or --set schedule.steps")
    return {**given, "schedule.steps": str(steps)}
