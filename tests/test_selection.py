"""Selection rules: what all of them promise, and each one's formula on tables that can be checked by hand.

N rows, K classes.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from dfkd.method.selection import SELECTIONS, Balanced, Confident, Random, Selection, budget
from dfkd.scores import Scores, scores_of

RECIPES: dict[type[Selection], Callable[[float], Selection]] = {
    Balanced: lambda ratio: Balanced(ratio=ratio),
    Confident: lambda ratio: Confident(ratio=ratio),
    Random: lambda ratio: Random(ratio=ratio),
}
DRAWN = {Random}  # rules that the seed may change
each_rule = pytest.mark.parametrize("kind", SELECTIONS, ids=lambda kind: kind.__name__)
each_scored_rule = pytest.mark.parametrize("kind", [k for k in SELECTIONS if k not in DRAWN], ids=lambda k: k.__name__)


def random_scores(rows: int = 400, classes: int = 10, seed: int = 0) -> Scores:
    """Every class is there, in very different numbers."""
    rng = np.random.default_rng(seed)
    logits_NK = (rng.normal(size=(rows, classes)) * 2 + np.linspace(0, 2, classes)).astype(np.float32)
    return scores_of(np.arange(rows), logits_NK, rng.normal(size=(rows, 4)).astype(np.float32))


def table(*rows: tuple[int, float], classes: int) -> Scores:
    """Rows of (pseudo-label, confidence), typed by hand."""
    label_N, confidence_N = (np.array(column) for column in zip(*rows, strict=True))
    count = len(rows)
    return Scores(
        row_id_N=np.arange(count),
        pseudo_label_N=label_N,
        confidence_N=confidence_N.astype(np.float32),
        entropy_N=np.zeros(count, dtype=np.float32),
        margin_N=np.zeros(count, dtype=np.float32),
        logits_NK=np.zeros((count, classes), dtype=np.float32),
        features_ND=np.zeros((count, 1), dtype=np.float32),
    )


# ---- what all rules have in common


def test_every_listed_rule_is_tested():
    assert set(RECIPES) == set(SELECTIONS)


@each_rule
@pytest.mark.parametrize("ratio", [0.001, 0.01, 0.1, 1 / 3, 0.5, 0.999, 1.0])
def test_rows_are_sorted_distinct_and_as_many_as_the_ratio_says(kind, ratio):
    scores = random_scores()
    chosen = RECIPES[kind](ratio).select(scores, seed=1)
    assert chosen.dtype == np.int64
    assert len(chosen) == max(1, round(ratio * len(scores)))
    assert (np.diff(chosen) > 0).all()
    assert chosen[0] >= 0 and chosen[-1] < len(scores)


@each_rule
@pytest.mark.parametrize("rows", [1, 2, 9, 10])
def test_small_pools_with_fewer_rows_than_classes(kind, rows):
    assert len(RECIPES[kind](0.5).select(random_scores(rows), seed=1)) == max(1, round(0.5 * rows))


@each_rule
def test_ratio_1_selects_everything(kind):
    assert RECIPES[kind](1.0).select(random_scores(), seed=1).tolist() == list(range(400))


@each_rule
def test_a_seed_gives_the_same_rows_again_and_only_drawn_rules_listen_to_it(kind):
    rule, scores = RECIPES[kind](0.3), random_scores()
    first, again, other = (rule.select(scores, seed).tolist() for seed in (1, 1, 2))
    assert first == again
    assert (first != other) == (kind in DRAWN)


@each_rule
def test_scores_are_only_read(kind):
    scores = random_scores()
    for name in Scores.__dataclass_fields__:
        getattr(scores, name).flags.writeable = False  # as views of shared memory are
    RECIPES[kind](0.3).select(scores, seed=1)


@each_scored_rule
def test_rows_in_another_order_are_the_same_choice(kind):
    scores = random_scores()
    order_N = np.random.default_rng(5).permutation(len(scores))
    rule = RECIPES[kind](0.3)
    assert set(order_N[rule.select(scores.take(order_N), seed=1)]) == set(rule.select(scores, seed=1))


@each_scored_rule
def test_among_equal_rows_the_earlier_ones_are_taken(kind):
    scores = table(*[(0, 0.5)] * 6, classes=2)
    assert RECIPES[kind](0.5).select(scores, seed=1).tolist() == [0, 1, 2]


@each_rule
@pytest.mark.parametrize("ratio", [0.0, -0.1, 1.01, math.nan, math.inf])
def test_ratios_outside_of_their_range_are_refused(kind, ratio):
    with pytest.raises(ValueError, match=r"selection.ratio must lie in \(0, 1\], .* but got ratio="):
        RECIPES[kind](ratio)


def test_budget():
    assert [budget(0.1, 1), budget(0.1, 15), budget(0.1, 25), budget(1.0, 7)] == [1, 2, 2, 7]


# ---- random


def test_random_looks_at_no_score_and_draws_evenly():
    one, other = random_scores(seed=0), random_scores(seed=1)
    rule = Random(ratio=0.25)
    assert rule.select(one, 3).tolist() == rule.select(other, 3).tolist()
    counts_N = sum(np.bincount(rule.select(one, seed), minlength=400) for seed in range(400))
    assert counts_N.min() > 50 and counts_N.max() < 150  # 100 each, deviation 8.7


# ---- confident


def test_confident_takes_the_smallest_cross_entropy_whatever_the_class():
    scores = random_scores()
    log_p_NK = scores.logits_NK - np.log(np.exp(scores.logits_NK.astype(np.float64)).sum(1, keepdims=True))
    entropy_to_argmax_N = -log_p_NK[np.arange(400), scores.logits_NK.argmax(1)]
    assert Confident(ratio=0.1).select(scores, 0).tolist() == sorted(np.argsort(entropy_to_argmax_N)[:40])


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


def test_balanced_fills_short_classes_with_the_most_confident_rows_that_remain():
    # quota 2: class 1 has one row, class 2 has none; what they leave goes to rows 4 and 1, class 0
    scores = table((0, 0.9), (0, 0.7), (1, 0.3), (0, 0.6), (0, 0.8), (0, 0.95), classes=3)
    assert Balanced(ratio=1.0, threshold=0.0).select(scores, 0).tolist() == [0, 1, 2, 3, 4, 5]
    assert Balanced(ratio=4 / 6, threshold=0.0).select(scores, 0).tolist() == [0, 2, 4, 5]  # quota 1 each
    six = table((0, 0.9), (0, 0.7), (1, 0.3), (0, 0.6), (0, 0.8), (0, 0.95), (0, 0.5), classes=2)
    assert Balanced(ratio=4 / 7, threshold=0.0).select(six, 0).tolist() == [0, 2, 4, 5]  # quota 2, one more of class 0


def test_balanced_admits_to_the_quota_only_what_reaches_the_class_threshold():
    # means .8 and .4, so thresholds .95 and .475: row 3 (.2) is not admitted, and row 1 (.7) comes before it
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
def test_balanced_agrees_with_its_definition(ratio, threshold):
    scores = random_scores(rows=500, seed=7)
    confidence, label = scores.confidence_N.astype(np.float64), scores.pseudo_label_N
    count = round(ratio * 500)
    means = {k: confidence[label == k].mean() for k in set(label)}
    best_first = sorted(range(500), key=lambda i: -confidence[i])
    chosen: list[int] = []
    for k, mean in means.items():
        admitted = [i for i in best_first if label[i] == k and confidence[i] >= threshold * mean / max(means.values())]
        chosen += admitted[: count // 10]
    chosen += [i for i in best_first if i not in chosen][: count - len(chosen)]
    assert Balanced(ratio=ratio, threshold=threshold).select(scores, 0).tolist() == sorted(chosen)


@pytest.mark.parametrize("threshold", [-0.1, 1.0, math.nan])
def test_balanced_refuses_other_thresholds(threshold):
    with pytest.raises(ValueError, match=r"selection.threshold must lie in \[0, 1\), but got self.threshold="):
        Balanced(ratio=0.1, threshold=threshold)
