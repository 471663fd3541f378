"""What all selection rules promise, their budgets, and the exact orders that they share.

N rows, K classes.
"""

import math

import numpy as np
import pytest

from dfkd.method.selection import SELECTIONS, Budget, Mixture, Random
from dfkd.method.selection.budget import balanced, by_class, highest, lowest
from dfkd.testing import SelectionSuite
from dfkd.testing.scores import random_scores

each_rule = pytest.mark.parametrize("kind", SELECTIONS, ids=lambda kind: kind.__name__)


class TestSelections(SelectionSuite):
    pieces = tuple(kind.example() for kind in SELECTIONS)


@pytest.mark.parametrize("kind", [Random, Mixture])
def test_what_is_drawn_depends_on_the_seed(kind):
    chosen = [kind(ratio=0.3).select(random_scores(), seed).tolist() for seed in (1, 2)]
    assert chosen[0] != chosen[1]


# ---- budgets


@each_rule
@pytest.mark.parametrize("budget", [{}, {"ratio": 0.1, "rows": 10}])
def test_a_budget_is_a_share_or_a_number(kind, budget):
    with pytest.raises(
        ValueError, match=r"needs either selection.ratio or selection.rows, but got ratio=.*, rows="
    ):
        kind.example().at_budget(**budget)


@each_rule
def test_numbers_of_rows_below_1_are_refused(kind):
    with pytest.raises(ValueError, match=r"selection.rows must be 1 or more, but got rows=0"):
        kind.example().at_budget(rows=0)


@each_rule
@pytest.mark.parametrize("ratio", [0.0, -0.1, 1.01, math.nan, math.inf])
def test_ratios_outside_of_their_range_are_refused(kind, ratio):
    with pytest.raises(
        ValueError, match=r"selection.ratio must lie in \(0, 1\], .* but got ratio="
    ):
        kind.example().at_budget(ratio=ratio)


def test_a_ratio_means_at_least_one_row():
    counts = [
        Budget(ratio=ratio).count(rows)
        for ratio, rows in ((0.1, 1), (0.1, 15), (0.1, 25), (1.0, 7))
    ]
    assert counts == [1, 2, 2, 7]


# ---- exact orders


@pytest.mark.parametrize("distinct", [2, 5, 1000])
@pytest.mark.parametrize("count", [-1, 0, 1, 7, 199, 200, 300])
def test_highest_and_lowest_are_those_of_a_stable_sort(distinct, count):
    values_N = np.random.default_rng(distinct).integers(0, distinct, 200).astype(np.float32) / 7
    taken = max(0, count)
    assert highest(values_N, count).tolist() == sorted(np.argsort(-values_N, kind="stable")[:taken])
    assert lowest(values_N, count).tolist() == sorted(np.argsort(values_N, kind="stable")[:taken])


@pytest.mark.parametrize("count", [1, 7, 199])
def test_equal_values_may_go_by_a_second_number(count):
    first_N, then_N = np.random.default_rng(count).integers(0, 4, (2, 200))
    expected = np.lexsort((-then_N, -first_N))[:count]  # stable
    assert highest(first_N, count, then_N).tolist() == sorted(expected)


@pytest.mark.parametrize("classes", [2, 100, 300, 70_000])
def test_positions_by_class(classes):
    label_N = np.random.default_rng(0).integers(0, classes, 500)
    parts = by_class(label_N, classes)
    assert len(parts) == classes
    assert all(
        part.tolist() == np.flatnonzero(label_N == k).tolist() for k, part in enumerate(parts[:300])
    )
    assert sum(map(len, parts)) == 500


@pytest.mark.parametrize("count", [1, 9, 10, 57, 250, 500])
def test_balanced_orders_hold_their_quotas_and_fill_up(count):
    rng = np.random.default_rng(count)
    # ties, short classes
    values_N, label_N = (rng.integers(0, 40, 500) / 3, np.minimum(rng.geometric(0.3, 500) - 1, 9))
    best_first = sorted(range(500), key=lambda i: -values_N[i])
    chosen = [
        i for k in range(10) for i in [j for j in best_first if label_N[j] == k][: count // 10]
    ]
    chosen += [i for i in best_first if i not in chosen][: count - len(chosen)]
    assert balanced(values_N, by_class(label_N, 10), count).tolist() == sorted(chosen)
