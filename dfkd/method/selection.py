"""Selection: which rows of the pool the student learns from. Once per teacher and pool, from cached scores.

N rows that may be selected, K classes, D feature width. Every rule returns sorted, distinct row positions, breaks ties
by position and is deterministic for a seed. The paper's abstract says "the useful samples are selected"; the rules are
our reading of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dfkd.scores import Scores

Rows: TypeAlias = NDArray[np.int64]


class Selection(Protocol):
    """A rule that picks rows. `ratio` is a share of the rows that may be selected (the pool without the probe)."""

    version: ClassVar[int]

    @property
    def ratio(self) -> float: ...

    def select(self, scores: Scores, seed: int) -> Rows:
        """Positions in `scores`, sorted and distinct, `budget(ratio, N)` of them."""
        ...


def budget(ratio: float, rows: int) -> int:
    """How many rows a ratio means: at least one."""
    return max(1, round(ratio * rows))


def check_ratio(ratio: float) -> None:
    if not 0 < ratio <= 1:
        raise ValueError(f"selection.ratio must lie in (0, 1], the share of the pool to select, but got {ratio=}")


def lowest(values_N: NDArray[np.floating], count: int) -> Rows:
    """Positions of the `count` smallest values; among equal values the earlier row comes first."""
    return np.argsort(values_N, kind="stable")[:count]


@dataclass(frozen=True, kw_only=True)
class Random:
    """`ratio` of the pool, drawn uniformly: the baseline that every selection has to beat."""

    ratio: float
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_ratio(self.ratio)

    def select(self, scores: Scores, seed: int) -> Rows:
        rows = np.random.default_rng(seed).choice(len(scores), budget(self.ratio, len(scores)), replace=False)
        return np.sort(rows)


@dataclass(frozen=True, kw_only=True)
class Confident:
    """The most confident rows of the whole pool, whatever their class.

    Smallest cross-entropy between the teacher's answer and its own argmax at temperature 1, which is the largest
    confidence. Source: DFND (Chen et al., CVPR 2021), published script DFND-train.py.
    """

    ratio: float
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_ratio(self.ratio)

    def select(self, scores: Scores, seed: int) -> Rows:
        return np.sort(lowest(-scores.confidence_N, budget(self.ratio, len(scores))))


@dataclass(frozen=True, kw_only=True)
class Balanced:
    """A quota for each pseudo-class, the most confident rows first. The default rule.

    Budget N', quota N'/K; row i of pseudo-class k is admitted to the quota if its confidence reaches
    `threshold * m_k / max_j m_j`, m_k the mean confidence of class k. What a short class leaves unfilled goes to the
    most confident rows that remain. Our reading of the abstract.

    threshold: in [0, 1); 0 switches the class threshold off.
    """

    ratio: float
    threshold: float = 0.95
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_ratio(self.ratio)
        if not 0 <= self.threshold < 1:
            raise ValueError(f"selection.threshold must lie in [0, 1), but got {self.threshold=}")

    def select(self, scores: Scores, seed: int) -> Rows:
        count = budget(self.ratio, len(scores))
        best_first_N = np.argsort(-scores.confidence_N, kind="stable")
        rank_N = _rank_within_class(scores.pseudo_label_N, best_first_N)
        admitted_N = scores.confidence_N >= self._thresholds(scores)[scores.pseudo_label_N]
        in_quota_N = admitted_N & (rank_N < count // scores.classes)
        # the rows in the quota first, then the others; inside each group the most confident first
        order_N = np.lexsort((-scores.confidence_N, ~in_quota_N))
        return np.sort(order_N[:count])

    def _thresholds(self, scores: Scores) -> NDArray[np.float64]:
        counts_K = np.bincount(scores.pseudo_label_N, minlength=scores.classes)
        sums_K = np.bincount(scores.pseudo_label_N, weights=scores.confidence_N, minlength=scores.classes)
        means_K = sums_K / np.maximum(counts_K, 1)
        thresholds_K: NDArray[np.float64] = self.threshold * means_K / means_K.max()
        return thresholds_K


def _rank_within_class(label_N: NDArray[np.int64], order_N: Rows) -> Rows:
    """Rank of each row among the rows of its class, when rows are visited in `order_N`: 0 is the first."""
    by_class_N = order_N[np.argsort(label_N[order_N], kind="stable")]
    starts_K = np.concatenate([[0], np.cumsum(np.bincount(label_N))[:-1]])
    rank_N = np.empty(len(label_N), dtype=np.int64)
    rank_N[by_class_N] = np.arange(len(label_N)) - starts_K[label_N[by_class_N]]
    return rank_N


SELECTIONS: tuple[type[Selection], ...] = (Balanced, Confident, Random)
