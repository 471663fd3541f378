"""One variant, one accuracy or one pair of columns in numbers, without a comparison or a test."""

import numpy as np
import pandas as pd
import scipy  # its parts are imported when they are used
from numpy.typing import ArrayLike

from dfkd.stats.outcomes import STATES, by_block
from dfkd.stats.paired import Floats, paired_interval


def summarise(
    outcomes: pd.DataFrame, *, confidence: float = 0.95, test_images: int | None = None
) -> pd.DataFrame:
    """Return a row a variant: n, mean, sd, t-interval and extremes over its blocks, cells by state.

    The interval contains the spread between blocks that `compare` pairs away: two variants whose
    intervals overlap may well differ. With `test_images` the column `test_se` is the binomial
    standard error that a test set of this size leaves in each mean: all blocks share it, so more
    blocks do not shrink it.
    """
    values = by_block(outcomes)
    counts = outcomes.astype({"variant": object}).groupby(["variant", "state"]).size().to_dict()
    rows = [
        _summary(values[name].dropna().to_numpy(), confidence)
        | {"variant": name}
        | {state: counts.get((name, state), 0) for state in STATES}
        for name in values.columns
    ]
    columns = ["variant", "n", "mean", "sd", "low", "high", "minimum", "maximum", *STATES]
    summary = pd.DataFrame(rows, columns=columns)
    if test_images is not None:
        summary["test_se"] = np.sqrt(summary["mean"] * (1 - summary["mean"]) / test_images)
    return summary


def rank_correlation(x: ArrayLike, y: ArrayLike) -> float:
    """Return Spearman's rank correlation in [-1, 1]; NaN where x or y is constant.

    Ties share their mean rank. Raises ValueError unless x and y are equally long, 2 or more each.
    """
    x_N, y_N = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if x_N.shape != y_N.shape or x_N.ndim != 1 or len(x_N) < 2:
        raise ValueError(
            f"x and y must be equally long lists of 2 or more numbers, but got {x=}, {y=}"
        )
    if np.ptp(x_N) == 0 or np.ptp(y_N) == 0:
        return float("nan")
    return float(scipy.stats.spearmanr(x_N, y_N).statistic)


def _summary(values_N: Floats, confidence: float) -> dict[str, float | None]:
    if not len(values_N):
        return {"n": 0}
    interval = paired_interval(values_N, confidence)
    return {
        "n": len(values_N),
        "mean": interval.mean,
        "sd": float(values_N.std(ddof=1)) if len(values_N) > 1 else None,
        "low": interval.low,
        "high": interval.high,
        "minimum": float(values_N.min()),
        "maximum": float(values_N.max()),
    }
