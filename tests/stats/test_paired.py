"""The statistics of one list of differences against other implementations and definitions."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import ttost_paired

from dfkd.stats import paired
from dfkd.stats.paired import smallest_detectable
from dfkd.stats.summaries import rank_correlation


def test_agrees_with_statsmodels_equivalence() -> None:
    differences_N = np.random.default_rng(1).normal(0.002, 0.01, 12)
    theirs = ttost_paired(differences_N, np.zeros(12), -0.01, 0.01)[0]
    assert paired.equivalence_test(differences_N, 0.01) == pytest.approx(theirs)


@pytest.mark.parametrize("comparisons", [1, 2, 7, 40])
def test_holm_agrees_with_statsmodels_to_the_last_bit(comparisons: int) -> None:
    p_M = np.random.default_rng(comparisons).uniform(size=comparisons) ** 6
    p_M[0] = p_M[-1]  # a tie
    assert paired.holm(p_M.tolist()) == multipletests(p_M, method="holm")[1].tolist()


def test_holm_counts_what_has_no_p_value() -> None:
    assert paired.holm([None, 0.01, 0.6]) == [None, 0.03, 1.0]
    assert (paired.holm([None, None]), paired.holm([])) == ([None, None], [])


@pytest.mark.parametrize("blocks", [2, 8, 10])
def test_sign_flips_agree_with_brute_force(blocks: int) -> None:
    differences_N = np.random.default_rng(blocks).normal(0.5, 1.0, blocks)
    flips = [np.mean(signs * differences_N) for signs in itertools.product((-1, 1), repeat=blocks)]
    expected = np.mean([abs(mean) >= abs(differences_N.mean()) - 1e-12 for mean in flips])
    assert paired.sign_flip_test(differences_N) == expected


def test_sign_flips_agree_with_scipy_and_stay_exact_to_16_blocks() -> None:
    differences_N = np.random.default_rng(5).normal(0.4, 1.0, 16)
    theirs = stats.permutation_test(
        (differences_N,), np.mean, permutation_type="samples", n_resamples=2**16, vectorized=True
    )
    assert paired.sign_flip_test(differences_N) == pytest.approx(theirs.pvalue, abs=1e-12)


def test_sampled_sign_flips_are_seeded_close_to_t_and_never_zero() -> None:
    differences_N = np.random.default_rng(3).normal(0.5, 1.0, 30)
    p = paired.sign_flip_test(differences_N, seed=1)
    assert p == paired.sign_flip_test(differences_N, seed=1)
    assert p == pytest.approx(paired.t_test(differences_N), abs=0.01)
    assert paired.sign_flip_test(differences_N + 10) == 1 / paired.EXACT_SIGN_FLIPS


@pytest.mark.parametrize("blocks", [5, 10, 20, 60])
def test_smallest_detectable_has_the_power_it_promises(blocks: int) -> None:
    difference = smallest_detectable(blocks, 0.02, power=0.8, comparisons=4)
    power = TTestPower().power(difference / 0.02, blocks, alpha=0.05 / 4)
    assert power == pytest.approx(0.8, abs=1e-4)


@pytest.mark.parametrize(
    ("blocks", "expected"), [(2, 11.5499), (5, 1.6820), (10, 0.9960), (20, 0.6604)]
)
def test_smallest_detectable_in_deviations(blocks: int, expected: float) -> None:
    """One comparison, 80 % power; from 5 blocks on as in G*Power's tables."""
    assert smallest_detectable(blocks, 1.0) == pytest.approx(expected, abs=1e-4)


def test_rank_correlation() -> None:
    """Ranks of y: 1, 3, 2, 4: 1 - 6 * (0 + 1 + 1 + 0) / (4 * 15) = .8."""
    assert rank_correlation([1, 2, 3, 4], [10, 30, 20, 1e9]) == pytest.approx(0.8)
    assert math.isnan(rank_correlation([1, 2, 3], [5, 5, 5]))
    with pytest.raises(ValueError, match="equally long"):
        rank_correlation([1, 2, 3], [1, 2])


def test_holm_is_monotone_and_agrees_with_its_definition() -> None:
    p_M = [0.01, 0.04, 0.03, 0.005, None]
    corrected = paired.holm(p_M)
    assert corrected == [
        pytest.approx(0.04),
        pytest.approx(0.09),
        pytest.approx(0.09),
        pytest.approx(0.025),
        None,
    ]
    order = np.argsort([1.0 if p is None else p for p in p_M])[:4]
    assert np.all(np.diff([corrected[i] for i in order]) >= 0)
    assert paired.holm([]) == []
