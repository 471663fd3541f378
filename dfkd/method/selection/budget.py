"""Budgets: how many rows a rule selects; and the exact orders that rules share.

N rows, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Protocol, Self, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from dfkd.identity import Piece, later
from dfkd.scores import Scores

Rows: TypeAlias = NDArray[np.int64]


class Redraw(Protocol):
    """How a selection is drawn from again while the student learns."""

    @property
    def every(self) -> int:
        """The epochs over the current rows after which rows are drawn again, 1 or more."""

    def draw(
        self, efficiency_N: NDArray[np.floating], label_N: NDArray[np.int64], classes: int
    ) -> Rows:
        """Return positions in the selection, sorted and distinct, that are current from now on.

        efficiency_N: how much the student has to learn of each selected row (`efficiency` in
        dynamic.py); label_N: the rows' pseudo-labels.
        """


class Selection(Protocol):
    """A rule that picks rows of the pool without the probe: a share `ratio`, or a number `rows`.

    All but `version`, `ratio`, `rows` and `select` has a default in `BaseSelection`.
    """

    version: ClassVar[int]

    @property
    def ratio(self) -> float | None: ...

    @property
    def rows(self) -> int | None: ...

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The columns of the scores that `select` reads; None for all, logits and features too."""

    @property
    def redraw(self) -> Redraw | None:
        """How rows are drawn again while the student learns; None for a rule that selects once."""

    @property
    def once(self) -> Selection:
        """The rule that selects before the student learns: this one, or the one below it."""

    def at_budget(self, ratio: float | None = None, rows: int | None = None) -> Selection | None:
        """Return the same rule at another budget; None for a rule that has only its own."""

    def select(self, scores: Scores, seed: int) -> Rows:
        """Return positions in `scores`, sorted and distinct, as many as the budget says."""

    @classmethod
    def example(cls) -> Self:
        """Return an instance with likely values, for tables and tests."""


class BaseSelection(Piece):
    """What a selection rule need not declare: it reads all columns, selects once, at one budget."""

    @property
    def columns(self) -> tuple[str, ...] | None:
        return None

    @property
    def redraw(self) -> Redraw | None:
        return None

    @property
    def once(self: Selection) -> Selection:
        return self

    def at_budget(self, ratio: float | None = None, rows: int | None = None) -> Self | None:
        """Replace the fields `ratio` and `rows`, where the rule has both."""
        names = {field.name for field in fields(cast(Any, self))}
        budget: Any = {"ratio": ratio, "rows": rows}
        return replace(cast(Any, self), **budget) if budget.keys() <= names else None


@dataclass(frozen=True, kw_only=True)
class Budget(BaseSelection):
    """How many rows: `ratio`, a share in (0, 1] of those that may be selected, or a number `rows`.

    The base of most rules: `count` says how many rows to take.
    """

    either: ClassVar = ("ratio", "rows")  # to give one by `--set` takes the other one away

    ratio: float | None = None
    rows: int | None = later(None)

    def __post_init__(self) -> None:
        ratio, rows = self.ratio, self.rows
        if (ratio is None) == (rows is None):
            raise ValueError(
                f"a selection needs either selection.ratio or selection.rows, but got {ratio=}, "
                f"{rows=}"
            )
        if ratio is not None and not 0 < ratio <= 1:
            raise ValueError(
                f"selection.ratio must lie in (0, 1], the share of the pool to select, but got "
                f"{ratio=}"
            )
        if rows is not None and rows < 1:
            raise ValueError(f"selection.rows must be 1 or more, but got {rows=}")

    @classmethod
    def example(cls) -> Self:
        return cls(ratio=0.1)

    def count(self, available: int) -> int:
        """Return the number of rows, at least one. ValueError where fewer are there than `rows`."""
        if self.ratio is not None:
            return max(1, round(self.ratio * available))
        assert self.rows is not None
        if self.rows > available:
            raise ValueError(
                f"selection.rows must be at most {available}, the pool without the probe, but got "
                f"rows={self.rows!r}"
            )
        return self.rows


def highest(values_N: NDArray[Any], count: int, then_N: NDArray[Any] | None = None) -> Rows:
    """Return the positions of the `count` largest values, sorted; of equal values the earlier.

    then_N: where given, equal values go by the largest of these first. Linear in N and without an
    index of 8 bytes for each row: score tables have 100 million.
    """
    if count <= 0 or not len(values_N):
        return np.empty(0, dtype=np.int64)
    if count >= len(values_N):
        return np.arange(len(values_N))
    place = len(values_N) - count
    limit = np.partition(values_N, place)[place]
    taken_N = values_N > limit
    equal = np.flatnonzero(values_N == limit)
    left = count - int(taken_N.sum())
    taken_N[equal[:left] if then_N is None else equal[highest(then_N[equal], left)]] = True
    return np.flatnonzero(taken_N)


def lowest(values_N: NDArray[Any], count: int) -> Rows:
    """Return the positions of the `count` smallest values, as `highest` does."""
    return highest(-values_N, count)


def by_class(label_N: NDArray[np.integer], classes: int) -> list[Rows]:
    """Return the positions of each class, sorted.

    Labels of 16 bits are sorted by radix, in linear time.
    """
    small_N = label_N.astype(np.min_scalar_type(max(0, classes - 1)))
    ends_K = np.cumsum(np.bincount(label_N, minlength=classes))
    return np.split(np.argsort(small_N, kind="stable"), ends_K[:-1])


def balanced(
    values_N: NDArray[Any],
    rows_of_K: list[Rows],
    count: int,
    least_K: NDArray[np.float64] | None = None,
    fill: bool = True,
) -> Rows:
    """Return `count` rows by class quotas: each class's highest, then the highest that remain.

    The quota is count // K. least_K: what a value must reach to be admitted to its class's quota;
    fill: False returns what the quotas hold and nothing in the place of what they lack; ValueError
    where they hold nothing.
    """
    taken_N = np.zeros(len(values_N), dtype=np.bool_)
    quota = count // len(rows_of_K)
    if not (fill or quota):
        raise ValueError(
            "selection.fill=False needs a budget of a row for each class, "
            f"{len(rows_of_K)} or more, but got {count} of {len(values_N)} rows"
        )
    for label, rows in enumerate(rows_of_K):
        admitted = rows if least_K is None else rows[values_N[rows] >= least_K[label]]
        taken_N[admitted[highest(values_N[admitted], quota)]] = True
    if not fill:
        if least_K is not None and not taken_N.any():
            raise ValueError(
                "with selection.fill=False no row reaches its class's threshold: lower "
                f"selection.threshold, but got thresholds from {least_K.min():.3g} on"
            )
        return np.flatnonzero(taken_N)
    left = np.flatnonzero(~taken_N)
    taken_N[left[highest(values_N[left], count - int(taken_N.sum()))]] = True
    return np.flatnonzero(taken_N)
