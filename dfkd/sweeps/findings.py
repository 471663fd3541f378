"""What a sweep's trials and its confirmation say, as plain values: the best so far, the winner, its
difference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dfkd.stats.paired import Interval, paired_interval

SHOWN = 10  # trials in the table of the best


@dataclass(frozen=True, kw_only=True)
class Trial:
    """points: step -> probe.

    value: the probe at its last step, which a pruned trial reached early.
    """

    number: int
    params: Mapping[str, float | int | str | bool | None]
    cell: str
    state: str  # "finished", "pruned", "diverged", "errored" or "running"
    step: int
    value: float | None
    validation: float | None
    points: Mapping[int, float]


@dataclass(frozen=True, kw_only=True)
class Importance:
    """How much of the probe's variation each parameter explains, by fANOVA over some of the
    trials.
    """

    step: int
    trials: int
    shares: Mapping[str, float]  # the largest first


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """Test accuracies on fresh blocks. winner: what it changes in the default; empty where the
    default won.
    """

    winner: Mapping[str, float | int | str | bool | None]
    winner_test: tuple[float, ...]
    default_test: tuple[float, ...]

    def difference(self) -> Interval:
        return paired_interval(np.subtract(self.winner_test, self.default_test))


@dataclass(frozen=True, kw_only=True)
class SweepData:
    """A sweep. scales: parameter -> "log", "linear" or "choice". correlation: of the ranks of probe
    and validation.
    """

    name: str
    trials: tuple[Trial, ...]
    scales: Mapping[str, str]
    importance: Importance | None
    correlation: float | None
    confirmation: Confirmation | None  # None while the sweep is under way
    provenance: Mapping[str, tuple[str, ...]]

    def finished(self) -> list[Trial]:
        """The best first; of equal ones the earlier."""
        done = [t for t in self.trials if t.state == "finished" and t.value is not None]
        return sorted(done, key=lambda t: (-(t.value or 0.0), t.number))

    def best_so_far(self) -> list[tuple[int, float]]:
        """(trial, best probe of the trials finished up to it), for the trials from the first
        finished one on.
        """
        best, line = float("-inf"), []
        for trial in self.trials:
            if trial.state == "finished" and trial.value is not None:
                best = max(best, trial.value)
            if best > float("-inf"):
                line.append((trial.number, best))
        return line

    def winner(self) -> Trial | None:
        """The trial that was confirmed; None where the default was, or where it cannot be told."""
        if self.confirmation is None or not self.confirmation.winner:
            return None
        return next((t for t in self.finished() if self._is_winner(t)), None)

    def _is_winner(self, trial: Trial) -> bool:
        """What the winner changes, and else the default, which is the first trial."""
        assert self.confirmation is not None
        expected = {**self.trials[0].params, **self.confirmation.winner}
        return all(_same(value, expected.get(name)) for name, value in trial.params.items())

    def states(self) -> str:
        counts: dict[str, int] = {}
        for trial in self.trials:
            counts[trial.state] = counts.get(trial.state, 0) + 1
        return ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))


def verdict(confirmation: Confirmation) -> list[str]:
    """The confirmed difference in words."""
    n = len(confirmation.winner_test)
    if not confirmation.winner:
        default = _mean(confirmation.default_test)
        return [f"the default recipe was not beaten: {default} % test accuracy over {n} blocks"]
    found = confirmation.difference()
    known = found.low is not None and found.high is not None
    interval = f", 95 % interval {100 * found.low:+.1f} to {100 * found.high:+.1f}" if known else ""  # type: ignore[operator]
    decided = known and (found.low > 0 or found.high < 0)  # type: ignore[operator]
    word = ("better" if found.mean > 0 else "worse") if decided else "not distinguishable at this n"
    changes = ", ".join(f"{name} {short(value)}" for name, value in confirmation.winner.items())
    return [
        f"winner: {changes}",
        f"winner {_mean(confirmation.winner_test)} %, default {_mean(confirmation.default_test)} % "
        "test accuracy: "
        f"{100 * found.mean:+.1f} points{interval}, {n} fresh blocks, paired: {word}",
        "conditional on this teacher and this pool",
    ]


def _mean(values: Sequence[float]) -> str:
    return f"{100 * sum(values) / len(values):.1f}"


def short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _same(one: object, other: object) -> bool:
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return one == other
