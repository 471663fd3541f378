"""Rules that read one number a row, on tables that can be checked by hand. N rows, K classes."""

import math
from dataclasses import replace

import numpy as np
import pytest

from dfkd.method.selection import (
    Balanced,
    BatchNormNearest,
    Confident,
    Energy,
    Entropy,
    Flexible,
    Hardest,
    Margin,
    Random,
)
from dfkd.method.selection.flexible import class_thresholds
from dfkd.method.selection.selecting import select
from dfkd.scores import Scores, scores_of
from dfkd.testing.scores import random_scores, table

# ---- random


def test_random_looks_at_no_score_and_draws_evenly():
    one, other = random_scores(seed=0), random_scores(seed=1)
    rule = Random(ratio=0.25)
    assert rule.select(one, 3).tolist() == rule.select(other, 3).tolist()
    counts_N = sum(np.bincount(rule.select(one, seed), minlength=400) for seed in range(400))
    assert counts_N.min() > 50 and counts_N.max() < 150  # 100 each, deviation 8.7


# ---- confident


def test_confident_takes_the_earlier_ones_among_equal_rows():
    # many: a short list is sorted in a stable way by any method
    scores = table(*[(0, 0.5), (0, 0.9)] * 100, classes=2)
    assert Confident(ratio=0.75).select(scores, 0).tolist() == sorted(
        [*range(1, 200, 2), *range(0, 100, 2)]
    )


def test_confident_takes_the_smallest_cross_entropy_whatever_the_class():
    scores = random_scores()
    log_p_NK = scores.logits_NK - np.log(
        np.exp(scores.logits_NK.astype(np.float64)).sum(1, keepdims=True)
    )
    entropy_to_argmax_N = -log_p_NK[np.arange(400), scores.logits_NK.argmax(1)]
    assert Confident(ratio=0.1).select(scores, 0).tolist() == sorted(
        np.argsort(entropy_to_argmax_N)[:40]
    )


# ---- balanced


def test_balanced_holds_its_quotas():
    scores, quota = random_scores(rows=2000), 100
    counts_K = np.bincount(scores.pseudo_label_N)
    chosen = Balanced(ratio=0.5, threshold=0.0).select(scores, 0)
    chosen_K = np.bincount(scores.pseudo_label_N[chosen], minlength=10)
    short_K = counts_K < quota
    assert 0 < short_K.sum() < 10
    assert (chosen_K[short_K] == counts_K[short_K]).all()
    assert (chosen_K[~short_K] >= quota).all()


def test_balanced_takes_the_most_confident_of_each_class():
    scores = table((0, 0.9), (0, 0.8), (1, 0.5), (1, 0.6), (0, 0.95), (1, 0.4), classes=2)
    assert Balanced(ratio=4 / 6, threshold=0.0).select(scores, 0).tolist() == [0, 2, 3, 4]


def test_balanced_leaves_short_classes_unfilled_where_it_is_told_so():
    # quota 2: class 1 has one row, class 2 has none
    scores = table((0, 0.9), (0, 0.7), (1, 0.3), (0, 0.6), (0, 0.8), (0, 0.95), classes=3)
    rule = Balanced(ratio=1.0, threshold=0.0, fill=False)
    assert rule.select(scores, 0).tolist() == [0, 2, 5]
    # means 0.79 and 0.3: row 0 and 5 reach 0.85, and row 2 reaches 0.85 * 0.3 / 0.79 = 0.32 not
    assert replace(rule, threshold=0.85).select(scores, 0).tolist() == [0, 5]


def test_without_filling_the_selection_is_the_part_of_the_filled_one_that_the_quotas_hold():
    scores = random_scores(rows=2000)
    full, bare = (
        Balanced(ratio=0.5, threshold=0.0, fill=fill).select(scores, 0) for fill in (True, False)
    )
    pool_K, bare_K = (np.bincount(scores.pseudo_label_N[rows]) for rows in (slice(None), bare))
    assert len(full) == 1000 and set(bare) < set(full)
    assert bare_K.tolist() == np.minimum(pool_K, 100).tolist()


def test_unfilled_quotas_of_nothing_are_refused():
    with pytest.raises(ValueError, match=r"no row reaches its class's threshold: lower"):
        Balanced(rows=2, threshold=0.95, fill=False).select(table((0, 0.9), (1, 0.8), classes=2), 0)
    with pytest.raises(ValueError, match=r"fill=False needs .* 10 or more, but got 9 of 400 rows"):
        Balanced(rows=9, fill=False).select(random_scores(), 0)
    assert len(Balanced(rows=10, fill=False).select(random_scores(), 0)) <= 10


def test_balanced_fills_short_classes_with_the_most_confident_rows_that_remain():
    # quota 2: class 1 has one row, class 2 has none; what they leave goes to rows 4 and 1, class 0
    scores = table((0, 0.9), (0, 0.7), (1, 0.3), (0, 0.6), (0, 0.8), (0, 0.95), classes=3)
    assert Balanced(ratio=1.0, threshold=0.0).select(scores, 0).tolist() == [0, 1, 2, 3, 4, 5]
    # quota 1 each
    assert Balanced(ratio=4 / 6, threshold=0.0).select(scores, 0).tolist() == [0, 2, 4, 5]
    six = table((0, 0.9), (0, 0.7), (1, 0.3), (0, 0.6), (0, 0.8), (0, 0.95), (0, 0.5), classes=2)
    # quota 2, one more of class 0
    assert Balanced(ratio=4 / 7, threshold=0.0).select(six, 0).tolist() == [0, 2, 4, 5]


def test_balanced_admits_to_the_quota_only_what_reaches_the_class_threshold():
    # means .8 and .4, so thresholds .95 and .475: row 3 (.2) is not admitted, and row 1 (.7) comes
    # before it
    scores = table((0, 0.9), (0, 0.7), (1, 0.6), (1, 0.2), classes=2)
    assert Balanced(ratio=1.0).select(scores, 0).tolist() == [0, 1, 2, 3]
    three = replace(Balanced(ratio=0.75), threshold=0.95)
    assert three.select(scores, 0).tolist() == [0, 1, 2]
    # without the threshold the quota of 2 for each class holds: with 4 of 6 rows
    more = table((0, 0.9), (0, 0.7), (0, 0.69), (1, 0.6), (1, 0.1), (0, 0.5), classes=2)
    assert Balanced(ratio=4 / 6, threshold=0.0).select(more, 0).tolist() == [0, 1, 3, 4]
    assert Balanced(ratio=4 / 6, threshold=0.95).select(more, 0).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("threshold", [0.0, 0.5, 0.95])
@pytest.mark.parametrize("ratio", [0.02, 0.1, 0.4, 0.9])
@pytest.mark.parametrize("decimals", [7, 1], ids=["distinct", "many ties"])
def test_balanced_agrees_with_its_definition(ratio, threshold, decimals):
    scores = random_scores(rows=500, seed=7)
    scores = replace(scores, confidence_N=scores.confidence_N.round(decimals))
    confidence, label = scores.confidence_N.astype(np.float64), scores.pseudo_label_N
    count = round(ratio * 500)
    means = {k: confidence[label == k].mean() for k in set(label)}
    best_first = sorted(range(500), key=lambda i: -confidence[i])
    chosen: list[int] = []
    for k, mean in means.items():
        admitted = [
            i
            for i in best_first
            if label[i] == k and confidence[i] >= threshold * mean / max(means.values())
        ]
        chosen += admitted[: count // 10]
    chosen += [i for i in best_first if i not in chosen][: count - len(chosen)]
    assert Balanced(ratio=ratio, threshold=threshold).select(scores, 0).tolist() == sorted(chosen)


@pytest.mark.parametrize("threshold", [-0.1, 1.0, math.nan])
def test_balanced_refuses_other_thresholds(threshold):
    with pytest.raises(
        ValueError, match=r"selection.threshold must lie in \[0, 1\), but got threshold="
    ):
        Balanced(ratio=0.1, threshold=threshold)


# ---- entropy, hardest, margin


def probabilities(scores: Scores) -> np.ndarray:
    e_NK = np.exp(scores.logits_NK.astype(np.float64))
    return e_NK / e_NK.sum(1, keepdims=True)


def test_entropy_takes_the_smallest_and_hardest_the_largest():
    scores = random_scores()
    p_NK = probabilities(scores)
    order = np.argsort(-(p_NK * np.log(p_NK)).sum(1))
    assert Entropy(ratio=0.1).select(scores, 0).tolist() == sorted(order[:40])
    assert Hardest(ratio=0.1).select(scores, 0).tolist() == sorted(order[-40:])


def test_margin_takes_the_largest_distance_of_the_two_best_logits():
    scores = random_scores()
    second_N, first_N = np.sort(scores.logits_NK, axis=1)[:, -2:].T
    assert Margin(ratio=0.1).select(scores, 0).tolist() == sorted(
        np.argsort(second_N - first_N)[:40]
    )


# ---- nearest to the teacher's BatchNorm statistics


def test_nearest_rows_of_each_class_whatever_their_confidence():
    scores = table((0, 0.9), (0, 0.8), (0, 0.3), (1, 0.9), (1, 0.2), (0, 0.5), classes=2)
    far = replace(scores, bn_distance_N=np.array([5, 4, 1, 3, 0.5, 2], dtype=np.float32))
    assert BatchNormNearest(ratio=4 / 6).select(far, 0).tolist() == [2, 3, 4, 5]
    # quota 3: class 1 has two, and the third goes to the nearest that remains, or to nobody
    assert BatchNormNearest(ratio=1.0).select(far, 0).tolist() == [0, 1, 2, 3, 4, 5]
    assert BatchNormNearest(ratio=1.0, fill=False).select(far, 0).tolist() == [1, 2, 3, 4, 5]


def test_distances_that_are_not_there_are_not_guessed():
    scores = replace(random_scores(), bn_distance_N=None)
    with pytest.raises(ValueError, match="computed when a run selects"):
        BatchNormNearest(ratio=0.1).select(scores, 0)
    with pytest.raises(ValueError, match="computed when a run selects"):
        select(BatchNormNearest(ratio=0.1), scores, np.arange(9), 0)


# ---- energy


def test_energy_takes_the_largest_log_sum_of_exponentials_of_each_class():
    scores = random_scores(rows=2000)
    energy_N = np.log(np.exp(scores.logits_NK.astype(np.float64)).sum(axis=1))
    chosen = Energy(rows=400, fill=False).select(scores, 0)
    for k in range(10):
        own = np.flatnonzero(scores.pseudo_label_N == k)
        best = own[np.argsort(-energy_N[own], kind="stable")[:40]]
        assert set(chosen) & set(own) == set(best)


def test_energy_tells_equally_confident_rows_apart():
    logits_NK = np.array([[2, 0], [5, 3], [3, 1], [0, 2], [1, 3]], dtype=np.float32)
    scores = scores_of(np.arange(5), logits_NK, np.zeros((5, 1), np.float32))
    assert Confident(rows=2).select(scores, 0).tolist() == [0, 1]  # all are equal to it
    assert Energy(rows=2).select(scores, 0).tolist() == [1, 4]
    assert Energy(rows=4, fill=False).select(scores, 0).tolist() == [1, 2, 3, 4]


# ---- flexible


def test_flexible_thresholds_follow_how_many_sure_rows_a_class_has():
    sure = [(0, 0.99)] * 8 + [(1, 0.96)] * 4 + [(2, 0.97)] * 2
    scores = table(*sure, *[(1, 0.6), (2, 0.2), (2, 0.1), (3, 0.1)], classes=4)
    expected_K = [0.95 * b / (2 - b) for b in (8 / 8, 4 / 8, 2 / 8, 0)]  # .95, .32, .14, 0
    assert class_thresholds(scores, 0.95) == pytest.approx(expected_K)
    chosen = Flexible(rows=16, fill=False).select(scores, 0).tolist()  # 4 of each class
    assert chosen == [0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 15, 17]  # not the one of 0.1 in class 2


def test_while_most_rows_are_unsure_flexible_thresholds_are_lower():
    scores = table(*[(0, 0.99)] * 2, *[(1, 0.5)] * 8, classes=2)
    assert class_thresholds(scores, 0.95) == pytest.approx([0.95 * 0.25 / 1.75, 0])


@pytest.mark.parametrize("threshold", [0.0, 1.0, math.nan])
def test_impossible_flexible_thresholds_are_refused(threshold):
    with pytest.raises(ValueError, match=r"selection.threshold must lie in \(0, 1\)"):
        Flexible(ratio=0.1, threshold=threshold)
