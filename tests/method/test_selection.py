"""Selection rules: what all of them promise, and each one's formula on tables that can be checked
by hand.

N rows, K classes.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from dfkd.method.selection import (
    SELECTIONS,
    Balanced,
    Budget,
    Confident,
    Dynamic,
    Entropy,
    Hardest,
    Margin,
    Mixture,
    Prototype,
    Random,
    Selection,
)
from dfkd.method.selection.budget import balanced, by_class, highest, lowest
from dfkd.method.selection.dynamic import efficiency
from dfkd.method.selection.mixture import clean_posterior
from dfkd.method.selection.prototype import closeness
from dfkd.scores import Scores, scores_of

RECIPES: dict[type[Selection], Callable[..., Selection]] = {
    **{
        kind: kind
        for kind in (Balanced, Confident, Random, Entropy, Margin, Prototype, Mixture, Hardest)
    },
    Dynamic: lambda ratio=None, rows=None: Dynamic(rule=Confident(ratio=ratio, rows=rows)),
}
DRAWN = {Random, Mixture}  # rules that the seed may change
each_rule = pytest.mark.parametrize("kind", SELECTIONS, ids=lambda kind: kind.__name__)
each_scored_rule = pytest.mark.parametrize(
    "kind", [k for k in SELECTIONS if k not in DRAWN], ids=lambda k: k.__name__
)


def random_scores(rows: int = 400, classes: int = 10, seed: int = 0) -> Scores:
    """Every class is there, in very different numbers."""
    rng = np.random.default_rng(seed)
    logits_NK = (rng.normal(size=(rows, classes)) * 2 + np.linspace(0, 2, classes)).astype(
        np.float32
    )
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
    chosen = RECIPES[kind](ratio=ratio).select(scores, seed=1)
    assert chosen.dtype == np.int64
    assert len(chosen) == max(1, round(ratio * len(scores)))
    assert (np.diff(chosen) > 0).all()
    assert chosen[0] >= 0 and chosen[-1] < len(scores)


@each_rule
@pytest.mark.parametrize("rows", [1, 2, 9, 10])
def test_small_pools_with_fewer_rows_than_classes(kind, rows):
    assert len(RECIPES[kind](ratio=0.5).select(random_scores(rows), seed=1)) == max(
        1, round(0.5 * rows)
    )


@each_rule
@pytest.mark.parametrize("rows", [1, 10, 57, 399, 400])
def test_a_number_of_rows_is_the_same_choice_as_that_share(kind, rows):
    scores = random_scores()
    chosen = RECIPES[kind](rows=rows).select(scores, seed=1)
    assert len(chosen) == rows
    assert chosen.tolist() == RECIPES[kind](ratio=rows / 400).select(scores, seed=1).tolist()


@each_rule
def test_more_rows_than_there_are_are_refused(kind):
    with pytest.raises(
        ValueError, match=r"selection.rows must be at most 400, .* but got self.rows=401"
    ):
        RECIPES[kind](rows=401).select(random_scores(), seed=1)


@each_rule
@pytest.mark.parametrize("budget", [{}, {"ratio": 0.1, "rows": 10}])
def test_a_budget_is_a_share_or_a_number(kind, budget):
    with pytest.raises(
        ValueError, match=r"needs either selection.ratio or selection.rows, but got ratio=.*, rows="
    ):
        RECIPES[kind](**budget)


@each_rule
def test_numbers_of_rows_below_1_are_refused(kind):
    with pytest.raises(ValueError, match=r"selection.rows must be 1 or more, but got rows=0"):
        RECIPES[kind](rows=0)


@each_rule
def test_ratio_1_selects_everything(kind):
    assert RECIPES[kind](ratio=1.0).select(random_scores(), seed=1).tolist() == list(range(400))


@each_rule
def test_a_seed_gives_the_same_rows_again_and_only_drawn_rules_listen_to_it(kind):
    rule, scores = RECIPES[kind](ratio=0.3), random_scores()
    first, again, other = (rule.select(scores, seed).tolist() for seed in (1, 1, 2))
    assert first == again
    assert (first != other) == (kind in DRAWN)


@each_rule
def test_scores_are_only_read(kind):
    scores = random_scores()
    for name in Scores.__dataclass_fields__:
        getattr(scores, name).flags.writeable = False  # as views of shared memory are
    RECIPES[kind](ratio=0.3).select(scores, seed=1)


@each_scored_rule
def test_rows_in_another_order_are_the_same_choice(kind):
    scores = random_scores()
    order_N = np.random.default_rng(5).permutation(len(scores))
    rule = RECIPES[kind](ratio=0.3)
    assert set(order_N[rule.select(scores.take(order_N), seed=1)]) == set(
        rule.select(scores, seed=1)
    )


@each_scored_rule
def test_among_equal_rows_the_earlier_ones_are_taken(kind):
    scores = table(*[(0, 0.5)] * 200, classes=2)
    assert RECIPES[kind](ratio=0.5).select(scores, seed=1).tolist() == list(range(100))


@each_rule
@pytest.mark.parametrize("ratio", [0.0, -0.1, 1.01, math.nan, math.inf])
def test_ratios_outside_of_their_range_are_refused(kind, ratio):
    with pytest.raises(
        ValueError, match=r"selection.ratio must lie in \(0, 1\], .* but got ratio="
    ):
        RECIPES[kind](ratio=ratio)


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
    values_N, label_N = (
        rng.integers(0, 40, 500) / 3,
        np.minimum(rng.geometric(0.3, 500) - 1, 9),
    )  # ties, short classes
    best_first = sorted(range(500), key=lambda i: -values_N[i])
    chosen = [
        i for k in range(10) for i in [j for j in best_first if label_N[j] == k][: count // 10]
    ]
    chosen += [i for i in best_first if i not in chosen][: count - len(chosen)]
    assert balanced(values_N, by_class(label_N, 10), count).tolist() == sorted(chosen)


# ---- random


def test_random_looks_at_no_score_and_draws_evenly():
    one, other = random_scores(seed=0), random_scores(seed=1)
    rule = Random(ratio=0.25)
    assert rule.select(one, 3).tolist() == rule.select(other, 3).tolist()
    counts_N = sum(np.bincount(rule.select(one, seed), minlength=400) for seed in range(400))
    assert counts_N.min() > 50 and counts_N.max() < 150  # 100 each, deviation 8.7


# ---- confident


def test_confident_takes_the_earlier_ones_among_equal_rows():
    scores = table(
        *[(0, 0.5), (0, 0.9)] * 100, classes=2
    )  # many: a short list is sorted in a stable way by any method
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


def test_balanced_fills_short_classes_with_the_most_confident_rows_that_remain():
    # quota 2: class 1 has one row, class 2 has none; what they leave goes to rows 4 and 1, class 0
    scores = table((0, 0.9), (0, 0.7), (1, 0.3), (0, 0.6), (0, 0.8), (0, 0.95), classes=3)
    assert Balanced(ratio=1.0, threshold=0.0).select(scores, 0).tolist() == [0, 1, 2, 3, 4, 5]
    assert Balanced(ratio=4 / 6, threshold=0.0).select(scores, 0).tolist() == [
        0,
        2,
        4,
        5,
    ]  # quota 1 each
    six = table((0, 0.9), (0, 0.7), (1, 0.3), (0, 0.6), (0, 0.8), (0, 0.95), (0, 0.5), classes=2)
    assert Balanced(ratio=4 / 7, threshold=0.0).select(six, 0).tolist() == [
        0,
        2,
        4,
        5,
    ]  # quota 2, one more of class 0


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
        ValueError, match=r"selection.threshold must lie in \[0, 1\), but got self.threshold="
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


# ---- prototype


def test_prototypes_find_the_groups_of_a_class():
    """Two classes of two directions each, and one row between the directions of class 0."""
    directions = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0]], dtype=np.float32)
    features = np.concatenate(
        [np.repeat(directions, 10, axis=0) * np.linspace(1, 5, 40)[:, None], [[1, 1, 0]]]
    )
    label = np.repeat([0, 0, 1, 1, 0], [10, 10, 10, 10, 1])
    scores = table(*[(k, 0.5) for k in label], classes=3)
    scores = replace(scores, features_ND=features.astype(np.float32))
    near_N = closeness(scores, clusters=2)
    assert near_N[:40] == pytest.approx(1, abs=0.01)  # lengths do not matter
    assert near_N[40] == pytest.approx(np.sqrt(0.5), abs=0.05)
    assert 40 not in Prototype(rows=40, clusters=2, rarity=0.0).select(scores, 0)


def test_prototype_agrees_with_its_formula():
    scores = random_scores()
    near_N = closeness(scores, 5)
    sizes = {k: (scores.pseudo_label_N == k).sum() for k in range(10)}
    columns = [
        scores.confidence_N.astype(float),
        near_N,
        np.array([1 - sizes[k] / 400 for k in scores.pseudo_label_N]),
    ]
    total_N = sum(
        weight * (x - x.min()) / (x.max() - x.min())
        for weight, x in zip((1.0, 2.0, 0.5), columns, strict=True)
    )
    rule = Prototype(ratio=0.1, closeness=2.0, rarity=0.5)
    assert rule.select(scores, 0).tolist() == sorted(np.argsort(-total_N, kind="stable")[:40])


def test_a_single_prototype_is_the_mean_direction_of_its_class():
    scores = random_scores()
    unit_ND = scores.features_ND / np.linalg.norm(scores.features_ND, axis=1, keepdims=True)
    near_N = closeness(scores, 1)
    for k in range(10):
        own = scores.pseudo_label_N == k
        mean_D = unit_ND[own].mean(0)
        assert near_N[own] == pytest.approx(
            unit_ND[own] @ mean_D / np.linalg.norm(mean_D), abs=1e-6
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"confidence": -1.0}, "weights must be 0 or more"),
        ({"closeness": math.nan}, "weights must be 0 or more"),
        ({"confidence": 0.0, "closeness": 0.0, "rarity": 0.0}, "one of them above 0"),
        ({"clusters": 0}, "selection.clusters must be 1 or more"),
    ],
)
def test_impossible_prototypes_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Prototype(ratio=0.1, **change)


# ---- mixture


def two_parts(clean: int, noisy: int) -> Scores:
    """Confidences around .97 and around .3, mixed up."""
    rng = np.random.default_rng(0)
    confidence_N = np.concatenate([rng.uniform(0.95, 0.99, clean), rng.uniform(0.25, 0.35, noisy)])
    return table(*[(0, c) for c in rng.permutation(confidence_N)], classes=2)


def test_a_mixture_tells_clean_from_noisy_rows():
    scores = two_parts(300, 200)
    clean_N = clean_posterior(-np.log(scores.confidence_N.astype(np.float64))) > 0.5
    assert (clean_N == (scores.confidence_N > 0.5)).all()


def test_a_mixture_draws_from_the_clean_rows_evenly():
    scores = two_parts(300, 200)
    chosen = [Mixture(rows=150).select(scores, seed) for seed in range(50)]
    counts_N = np.bincount(np.concatenate(chosen), minlength=500)
    assert (counts_N[scores.confidence_N < 0.5] == 0).all()
    assert counts_N[scores.confidence_N > 0.5].min() > 8  # 25 each, deviation 3.5


def test_a_mixture_fills_up_with_the_least_noisy_rows():
    scores = two_parts(300, 200)
    chosen = Mixture(rows=310).select(scores, seed=0)
    assert chosen.tolist() == highest(scores.confidence_N, 310).tolist()


def test_a_mixture_agrees_with_its_formula_and_not_with_the_order_of_the_rows():
    from sklearn.mixture import GaussianMixture

    loss_N = -np.log(random_scores().confidence_N.astype(np.float64))
    x = np.sort((loss_N - loss_N.min()) / (loss_N.max() - loss_N.min()))[:, None]
    g = GaussianMixture(2, max_iter=10, tol=1e-2, reg_covar=5e-4, random_state=0).fit(x)
    densities = [
        w * np.exp(-((x[:, 0] - m) ** 2) / (2 * v)) / np.sqrt(v)
        for w, m, v in zip(g.weights_, g.means_[:, 0], g.covariances_[:, 0, 0], strict=True)
    ]
    expected = densities[int(g.means_.argmin())] / sum(densities)
    order = np.argsort(loss_N)
    assert clean_posterior(loss_N)[order] == pytest.approx(expected, rel=1e-6, abs=1e-12)
    turned = np.random.default_rng(0).permutation(400)
    assert clean_posterior(loss_N[turned]).tolist() == clean_posterior(loss_N)[turned].tolist()


# ---- dynamic


def test_efficiency_agrees_with_its_formula():
    rng = np.random.default_rng(0)
    teacher, student = rng.normal(size=(2, 50, 10)) * 3
    expected = []
    for t, s in zip(teacher, student, strict=True):
        p, q = np.exp(t) / np.exp(t).sum(), np.exp(s) / np.exp(s).sum()
        expected.append(p.max() * (p * np.log(p / q)).sum())
    assert efficiency(
        torch.from_numpy(teacher), torch.from_numpy(student)
    ).numpy() == pytest.approx(expected, rel=1e-6)


def test_dynamic_selects_what_its_rule_selects_and_draws_a_balanced_fraction_of_it():
    scores, rule = random_scores(), Confident(rows=100)
    dynamic = Dynamic(rule=rule, fraction=0.4)
    chosen = dynamic.select(scores, 0)
    assert chosen.tolist() == rule.select(scores, 0).tolist()
    assert (dynamic.ratio, dynamic.rows) == (None, 100)
    label_N = scores.pseudo_label_N[chosen]
    efficiency_N = np.random.default_rng(1).random(100)
    drawn = dynamic.draw(efficiency_N, label_N, 10)
    assert len(drawn) == 40
    for k in range(10):  # quota 4
        own = np.flatnonzero(label_N == k)
        assert set(own[np.argsort(-efficiency_N[own])][:4]) <= set(drawn)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"every": 0}, "selection.every must be 1 epoch or more"),
        ({"fraction": 0.0}, r"selection.fraction must lie in \(0, 1\)"),
        ({"fraction": 1.0}, r"selection.fraction must lie in \(0, 1\)"),
        ({"fraction": math.nan}, r"selection.fraction must lie in \(0, 1\)"),
        (
            {"rule": Dynamic(rule=Random(ratio=0.5))},
            "selection.rule must be a rule that selects once",
        ),
    ],
)
def test_impossible_dynamics_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Dynamic(**{"rule": Random(ratio=0.5), **change})
