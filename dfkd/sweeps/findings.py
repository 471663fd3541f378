"""What a sweep's trials and its confirmation say, as plain values."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dfkd.identity import Scalar
from dfkd.reporting.numbers import interval, points, short_number
from dfkd.stats.comparisons import UNDECIDED
from dfkd.stats.paired import Interval, paired_interval, smallest_detectable
from dfkd.storage.notes import NO_NOTE, Note
from dfkd.sweeps.trial import Trial, best_first
from dfkd.training.measures import SOFT

SHOWN = 10  # trials in the table of the best
COLUMNS = ("trial", "state", "step", "probe", "validation", "cell")  # of tables of trials


@dataclass(frozen=True, kw_only=True)
class Importance:
    """How much of the probe's variation each parameter explains, by fANOVA over some trials."""

    step: int
    trials: int
    shares: Mapping[str, float]  # the largest first


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """Test accuracies of winner and default, paired by fresh blocks on which nothing was chosen.

    `winner` holds the parameters in which it differs from the default; it is empty where the
    default itself won. `winner_trial`: its number; None for the default, and in older records.
    """

    winner: Mapping[str, Scalar]
    winner_test: tuple[float, ...]
    default_test: tuple[float, ...]
    winner_trial: int | None = None

    def difference(self) -> Interval:
        """Return winner minus default in accuracy, with its 95 % interval."""
        return paired_interval(np.subtract(self.winner_test, self.default_test))


@dataclass(frozen=True, kw_only=True)
class SweepData:
    """All that is known of a sweep, as far as it has come.

    scales: parameter -> "log", "linear" or "choice". correlation: Spearman's, of probe and
    validation. provenance: name of a fact -> its values. has_default: whether trial 0 is the
    default.
    """

    name: str
    trials: tuple[Trial, ...]
    scales: Mapping[str, str]
    importance: Importance | None
    correlation: float | None
    confirmation: Confirmation | None  # None while the sweep is under way
    provenance: Mapping[str, tuple[str, ...]]
    has_default: bool = True
    note: Note = NO_NOTE  # what people say of it

    def default(self) -> Trial | None:
        """Return the trial in which the default was tried, if any was."""
        return self.trials[0] if self.has_default else None

    def finished(self) -> list[Trial]:
        """Return the trials that came to their end, the best first."""
        return best_first(self.trials)

    @property
    def cost_name(self) -> str | None:
        """What the search minimised beside maximising the probe; None where nothing."""
        return next((name for trial in self.trials for name in trial.costs), None)

    @property
    def judged_by(self) -> str:
        """What trials are judged by, in words."""
        return "soft probe" if any(trial.measure == SOFT for trial in self.trials) else "probe"

    def best_so_far(self) -> list[tuple[int, float]]:
        """Return (trial, best probe of the trials finished up to it), from the first of these."""
        best, line = float("-inf"), []
        for trial in self.trials:
            if trial.state == "finished" and trial.value is not None:
                best = max(best, trial.value)
            if best > float("-inf"):
                line.append((trial.number, best))
        return line

    def winner(self) -> Trial | None:
        """Return the trial that was confirmed; None if the default was, or if it is not known."""
        if self.confirmation is None or not self.confirmation.winner:
            return None
        if (number := self.confirmation.winner_trial) is not None:
            return next((t for t in self.trials if t.number == number), None)
        # an older record: what the winner does not change is as in the default, the first trial
        expected = {**self.trials[0].params, **self.confirmation.winner}
        for trial in self.finished():
            if all(_same(value, expected.get(name)) for name, value in trial.params.items()):
                return trial
        return None

    def validated(self) -> list[Trial]:
        """Return the trials with both a probe and a validation accuracy."""
        return [t for t in self.trials if t.value is not None and t.validation is not None]

    def rank_correlation(self) -> str:
        """Return the correlation and over how many trials it is; "" where it is not known."""
        if self.correlation is None:
            return ""
        return f"{self.correlation:.2f} over {len(self.validated())} trials"

    def states(self) -> str:
        """Return how many trials are in each state, in words."""
        counts = Counter(trial.state for trial in self.trials)
        return ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))


def verdict(confirmation: Confirmation) -> list[str]:
    """Return the confirmed difference in words, a few lines."""
    n = len(confirmation.winner_test)
    if not confirmation.winner:
        default = _mean(confirmation.default_test)
        return [f"the default recipe was not beaten: {default} % test accuracy over {n} blocks"]
    found = confirmation.difference()
    shown, word = "", UNDECIDED
    if found.low is not None and found.high is not None:
        shown = f", 95 % interval {interval(found.low, found.high)}"
        if found.low > 0 or found.high < 0:
            word = "better" if found.mean > 0 else "worse"
    changes = ", ".join(f"{name} {short(value)}" for name, value in confirmation.winner.items())
    means = [_mean(test) for test in (confirmation.winner_test, confirmation.default_test)]
    return [
        f"winner: {changes}",
        f"winner {means[0]} %, default {means[1]} % test accuracy: "
        f"{points(found.mean)} points{shown}, {n} fresh blocks, paired: {word}",
        *(_could_be_seen(confirmation) if word == UNDECIDED else ()),
        "conditional on this teacher and this pool",
    ]


def _could_be_seen(confirmation: Confirmation) -> Iterator[str]:
    """Yield which difference so many blocks show, by how much these differ."""
    difference_N = np.subtract(confirmation.winner_test, confirmation.default_test)
    if len(difference_N) > 1 and (sd := float(difference_N.std(ddof=1))) > 0:
        n, seen = len(difference_N), smallest_detectable(len(difference_N), sd)
        yield (
            f"undecided: {n} blocks that differ as these do show {100 * seen:.1f} points 8 times "
            f"of 10, a smaller difference less often; {4 * n} blocks show half of that (--blocks)"
        )


def column(name: str) -> str:
    """Return a parameter's name as the head of a column, beside those that all trials have."""
    return f"{name} (parameter)" if name in COLUMNS else name


def short(value: object) -> str:
    """Return a parameter or a number as it stands in tables: four digits."""
    return short_number(value) if isinstance(value, float) else str(value)


def _mean(values: Sequence[float]) -> str:
    return f"{100 * sum(values) / len(values):.1f}"


def _same(one: object, other: object) -> bool:
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return one == other
