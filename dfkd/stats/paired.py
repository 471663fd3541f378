"""Statistics of paired differences, one number per block, and Holm's correction over several tests.

Shapes: N blocks, M comparisons of one study, F sign flips.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import scipy  # its parts are imported when they are used
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]

EXACT_SIGN_FLIPS = 65_536
# accuracies are fractions of a test set: a difference below this is the rounding of a subtraction
SAME = 1e-12


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean and its interval.

    `low` and `high` are None where no spread was seen: one value, or all values equal.
    """

    mean: float
    low: float | None
    high: float | None


def paired_interval(differences_N: ArrayLike, confidence: float = 0.95) -> Interval:
    """Return the mean of paired differences and its t-interval, exact where they are normal.

    Raises ValueError where there are no differences, or one is not finite.
    """
    d_N = np.asarray(differences_N, dtype=float)
    check_confidence(confidence)
    if d_N.ndim != 1 or not len(d_N) or not np.isfinite(d_N).all():
        raise ValueError(
            f"differences must be a list of one or more finite numbers, but got {differences_N=}"
        )
    mean = float(d_N.mean())
    if constant(d_N):
        return Interval(mean=mean, low=None, high=None)
    half = float(
        scipy.stats.t.isf((1 - confidence) / 2, len(d_N) - 1)
        * d_N.std(ddof=1)
        / math.sqrt(len(d_N))
    )
    return Interval(mean=mean, low=mean - half, high=mean + half)


def check_confidence(confidence: float) -> None:
    """Raise ValueError unless the confidence lies between 0 and 1."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, but got {confidence=}")


def constant(differences_N: Floats) -> bool:
    """Return whether no spread was seen: fewer than two differences, or all equal.

    An interval or a t-test of such differences would be made up.
    """
    return len(differences_N) < 2 or float(np.ptp(differences_N)) <= SAME


def t_test(differences_N: Floats) -> float | None:
    """Return the two-sided p of the paired t-test; None where no spread was seen."""
    if constant(differences_N):
        return None
    return float(scipy.stats.ttest_1samp(differences_N, 0.0).pvalue)


def equivalence_test(differences_N: Floats, margin: float) -> float | None:
    """Return p of "the mean difference is at least `margin` in size".

    None where no spread was seen. By two one-sided t-tests (TOST, Schuirmann 1987).
    """
    if constant(differences_N):
        return None
    above = scipy.stats.ttest_1samp(differences_N, -margin, alternative="greater").pvalue
    below = scipy.stats.ttest_1samp(differences_N, margin, alternative="less").pvalue
    return float(max(above, below))


def sign_flip_test(differences_N: Floats, *, seed: int = 0) -> float:
    """Return the two-sided p of the mean over all sign flips.

    Valid whenever the differences are symmetric about 0 under H0. Exact up to EXACT_SIGN_FLIPS
    flips (16 blocks); beyond that a sample of as many, the observed signs counted as one of them so
    that p is never 0 (Phipson & Smyth 2010). scipy's permutation_test agrees and takes 0.7 s for 16
    blocks.
    """
    n = len(differences_N)
    exact = 2**n <= EXACT_SIGN_FLIPS
    if exact:
        minus_FN = ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(np.int8)
    else:
        minus_FN = np.random.default_rng(seed).integers(
            0, 2, size=(EXACT_SIGN_FLIPS, n), dtype=np.int8
        )
        minus_FN[0] = 0
    means_F = np.abs((1 - 2 * minus_FN) @ differences_N) / n
    return float(np.mean(means_F >= abs(differences_N.mean()) - SAME))


def hedges_g(differences_N: Floats) -> float | None:
    """Return the standardised mean difference of pairs, corrected for its bias at small n.

    mean / sd times Hedges' exact factor (Hedges 1981). None where no spread was seen, and for two
    blocks, where the factor is 0.
    """
    df = len(differences_N) - 1
    if df < 2 or constant(differences_N):
        return None
    factor = math.exp(
        scipy.special.gammaln(df / 2) - scipy.special.gammaln((df - 1) / 2)
    ) / math.sqrt(df / 2)
    return float(factor * differences_N.mean() / differences_N.std(ddof=1))


def share_of_wins(differences_N: Floats) -> float | None:
    """Return the probability of improvement: the share of blocks with a positive difference.

    A tie counts one half. None where there is no block.
    """
    if not len(differences_N):
        return None
    ties_N = np.abs(differences_N) <= SAME
    return float(np.mean(np.where(ties_N, 0.5, differences_N > 0)))


def holm(p_M: Sequence[float | None]) -> list[float | None]:
    """Return Holm-corrected p-values.

    A comparison without a p-value stays without, but still counts as one of the family. Source:
    Holm 1979, "A simple sequentially rejective multiple test procedure". statsmodels' multipletests
    agrees to the last bit, but collects the garbage of the whole process at each call: 0.2 s and
    more where Ray and PyTorch are loaded.
    """
    full_M = np.array([1.0 if p is None else p for p in p_M])
    order_M = np.argsort(full_M)
    corrected_M = np.empty_like(full_M)
    steps_M = full_M[order_M] * np.arange(len(full_M), 0, -1)
    corrected_M[order_M] = np.minimum(np.maximum.accumulate(steps_M), 1.0)
    return [None if p is None else float(q) for p, q in zip(p_M, corrected_M, strict=True)]


def smallest_detectable(
    blocks: int, sd: float, *, confidence: float = 0.95, power: float = 0.8, comparisons: int = 1
) -> float:
    """Return the smallest true difference that the paired t-test finds with this power.

    Exact for normal differences (noncentral t), in the difference's own direction. `sd` is that of
    the paired differences, in the unit of the result. With several comparisons the level is divided
    by their number: Holm's first and hardest step. (statsmodels' TTestPower.solve_power silently
    returns its starting value at 2 or 3 blocks, so the equation is solved here.) Raises ValueError
    for impossible arguments.
    """
    if blocks < 2 or comparisons < 1:
        raise ValueError(
            f"it takes 2 or more blocks and 1 or more comparisons, but got {blocks=}, "
            f"{comparisons=}"
        )
    if not (sd >= 0 and 0 < power < 1):
        raise ValueError(
            f"sd must be at least 0 and power between 0 and 1, but got {sd=}, {power=}"
        )
    check_confidence(confidence)
    df = blocks - 1
    critical = float(scipy.stats.t.isf((1 - confidence) / comparisons / 2, df))
    shift = scipy.optimize.brentq(
        lambda nc: scipy.stats.nct.sf(critical, df, nc) - power, 0.0, 5 * critical
    )
    return float(shift) * sd / math.sqrt(blocks)
