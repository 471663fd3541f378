"""Mixture: the rows that a two-part mixture of losses calls clean. N rows."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dfkd.method.selection.budget import Budget, Rows, highest
from dfkd.scores import Summary

FITTED_ON = (
    100_000  # losses, evenly spaced in their order: two means and two variances need no more
)


@dataclass(frozen=True, kw_only=True)
class Mixture(Budget):
    """Draws rows whose loss belongs to the lower part of a two-part Gaussian mixture.

    Formula: loss l_i = -log max_k p_ik, min-max scaled; GaussianMixture(2 parts, 10 iterations,
    tolerance 1e-2, regularisation 5e-4); a row is clean if the posterior of the part with the
    smaller mean is above 1/2. Of too many clean rows as many as the budget says are drawn
    uniformly; too few are filled up in the order of the posterior, then of the loss.
    Source: published, TA-DFKD with a budget of ours; its Sample_Selection.py keeps every clean row,
    and prefers none of them.
    Range: the budget only.
    Interplay: weaker than `Confident` at small budgets by design, since it keeps rows of all clean
    degrees.
    """

    version: ClassVar[int] = 1
    columns: ClassVar[tuple[str, ...]] = ("confidence",)

    def select(self, scores: Summary, seed: int) -> Rows:
        count = self.count(len(scores))
        posterior_N = clean_posterior(
            -np.log(np.maximum(scores.confidence_N.astype(np.float64), 1e-12))
        )
        clean = np.flatnonzero(posterior_N > 0.5)
        if len(clean) > count:
            return np.sort(np.random.default_rng(seed).choice(clean, count, replace=False))
        return highest(posterior_N, count, then_N=scores.confidence_N)


def clean_posterior(loss_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability that each loss belongs to the part with the smaller mean [N].

    It is 1 where all losses are equal.
    """
    from sklearn.mixture import GaussianMixture  # seconds to import
    from threadpoolctl import threadpool_limits

    span = loss_N.max() - loss_N.min()
    if not span:
        return np.ones(len(loss_N))
    scaled_N: NDArray[np.float64] = (loss_N - loss_N.min()) / span
    sample = np.sort(scaled_N)  # in order, so that the rows' order does not matter
    if len(sample) > FITTED_ON:
        sample = sample[np.linspace(0, len(sample) - 1, FITTED_ON).round().astype(np.int64)]
    mixture = GaussianMixture(2, max_iter=10, tol=1e-2, reg_covar=5e-4, random_state=0)
    with threadpool_limits(1):
        mixture.fit(sample[:, None])
        clean = mixture.means_.argmin()
        for start in range(0, len(scaled_N), FITTED_ON):  # in place: a pool's numbers are held once
            part = scaled_N[start : start + FITTED_ON]
            part[:] = mixture.predict_proba(part[:, None])[:, clean]
    return scaled_N
