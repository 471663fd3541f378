"""Rules that fit something to the pool: prototypes and a mixture of losses. N rows, K classes."""

import math
from dataclasses import replace

import numpy as np
import pytest

from dfkd.method.selection import Mixture, Prototype
from dfkd.method.selection.budget import highest
from dfkd.method.selection.mixture import clean_posterior
from dfkd.method.selection.prototype import closeness
from dfkd.scores import Scores
from dfkd.testing.scores import random_scores, table

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
