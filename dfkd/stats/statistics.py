"""What the outcomes of a study say, and how sure one may be of it.

One primary analysis, fixed in advance: the difference of each variant to the baseline, paired over
the blocks that both share, with a t-interval, and Holm's correction over the study's comparisons.
Beside it, never instead of it: sign flips as a sensitivity, effect size, probability of
improvement, equivalence where a margin is stated.

All of it is conditional on what the blocks hold fixed. Where every block shares one teacher, one
pool and one test set, the intervals say nothing about another one; `finite_test_interval` shows
what the size of the test set alone leaves open.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from dfkd.stats.paired import (
    SAME,
    Floats,
    Interval,
    check_confidence,
    constant,
    equivalence_test,
    hedges_g,
    holm,
    paired_interval,
    share_of_wins,
    sign_flip_test,
    smallest_detectable,
    t_test,
)

__all__ = [
    "Comparison",
    "Interval",
    "by_block",
    "compare",
    "describe",
    "finite_test_interval",
    "frame",
    "paired_interval",
    "rank_correlation",
    "smallest_detectable",
    "summarise",
]

STATES = ("finished", "diverged", "errored")
MIN_BLOCKS_SIGN_FLIP = (
    8  # with 5 blocks its smallest two-sided p is 2 / 2**5 = .06: it could never say anything
)

BETTER, WORSE = "better", "worse"
UNDECIDED = "not distinguishable at this n"
IDENTICAL = "identical in every block"
CONSTANT = "constant difference, not testable"
NO_BLOCKS = "no shared block"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One variant against the baseline over their shared blocks. Accuracies are fractions, not per
    cent.

    `low`, `high` belong to this one comparison at the confidence asked for; the verdict follows
    `p_holm`, which is stricter where there are several comparisons. `wide_low`, `wide_high`
    (Bonferroni) hold for all comparisons at
    once: where they leave out zero, the verdict is never "not distinguishable", and Holm decides a
    little more than they show. Holm's own simultaneous intervals (Strassburger & Bretz 2008) are
    one-sided and say nothing beyond zero
    for what was decided: not offered.
    """

    variant: str
    baseline: str
    n: int  # shared blocks; where there is none, the means and the difference are NaN
    mean: float
    baseline_mean: float
    difference: float
    low: float | None
    high: float | None
    wide_low: float | None
    wide_high: float | None
    p: float | None  # None where nothing can be tested: no p-value is invented
    p_holm: float | None
    p_signflip: float | None  # from MIN_BLOCKS_SIGN_FLIP blocks on
    p_equivalent: float | None  # TOST, Holm-corrected over the study; None without a margin
    effect_size: float | None  # Hedges' g of the pairs
    probability_better: float | None
    verdict: str
    note: str


def by_block(outcomes: pd.DataFrame) -> pd.DataFrame:
    """The outcomes as a table, blocks down and variants across, NaN where a cell is missing or
    errored.

    Rows are sorted by block, columns by name or, for a categorical `variant`, by category: never by
    the order of the rows. Raises ValueError for missing columns, unknown states, a cell given
    twice, and values outside [0, 1].
    """
    _check_outcomes(outcomes)
    usable = outcomes[outcomes["state"] != "errored"]
    values = usable.pivot(index="block", columns="variant", values="value").astype(float)
    return values.reindex(index=sorted(set(outcomes["block"])), columns=_variant_names(outcomes))


def summarise(
    outcomes: pd.DataFrame, *, confidence: float = 0.95, test_images: int | None = None
) -> pd.DataFrame:
    """One row per variant: n, mean, sd, t-interval, extremes over its own blocks, and its cells by
    state.

    The interval contains the spread between blocks that `compare` pairs away: two variants whose
    intervals overlap may well differ. With `test_images` the column `test_se` is the binomial
    standard error that a test set of this
    size leaves in each mean: all blocks share it, so more blocks do not shrink it.
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


def compare(
    outcomes: pd.DataFrame, *, baseline: str, confidence: float = 0.95, margin: float | None = None
) -> list[Comparison]:
    """Every other variant against the baseline, Holm-corrected over all of them.

    `margin` (> 0, in accuracy) is the largest difference that would not matter; "equivalent" is
    said only where it is stated, at the same level with a Holm correction of its own, and only
    where no difference was found. For a study
    that was raced use `racing.race`: these p-values know nothing of earlier looks. Raises
    ValueError for an unknown baseline or malformed outcomes.
    """
    check_confidence(confidence)
    if margin is not None and not margin > 0:
        raise ValueError(f"the margin of equivalence must be above 0, but got {margin=}")
    pairs = paired_with(by_block(outcomes), baseline)
    differences = [differences_of(pair) for pair in pairs]
    p_holm = holm([t_test(d_N) for d_N in differences])
    p_equivalent = holm(
        [None if margin is None else equivalence_test(d_N, margin) for d_N in differences]
    )
    wide = 1 - (1 - confidence) / max(len(pairs), 1)
    return [
        describe(
            pair,
            alpha=1 - confidence,
            confidence=confidence,
            wide=wide,
            p=t_test(d_N),
            p_holm=p_h,
            p_signflip=sign_flip_test(d_N) if len(d_N) >= MIN_BLOCKS_SIGN_FLIP else None,
            p_equivalent=p_e,
            margin=margin,
            note=cell_note(outcomes, *pair.columns),
        )
        for pair, d_N, p_h, p_e in zip(pairs, differences, p_holm, p_equivalent, strict=True)
    ]


def paired_with(values: pd.DataFrame, baseline: str) -> list[pd.DataFrame]:
    """For each other variant, the two columns (variant, baseline) over the blocks that both
    have.
    """
    if baseline not in values.columns:
        raise ValueError(f"the baseline must be one of {list(values.columns)}, but got {baseline=}")
    return [values[[name, baseline]].dropna() for name in values.columns if name != baseline]


def differences_of(pair: pd.DataFrame) -> Floats:
    return np.asarray(pair.iloc[:, 0] - pair.iloc[:, 1], dtype=float)


def describe(
    pair: pd.DataFrame,
    *,
    alpha: float,
    confidence: float,
    wide: float,
    p: float | None,
    p_holm: float | None,
    p_signflip: float | None = None,
    p_equivalent: float | None = None,
    margin: float | None = None,
    note: str = "",
) -> Comparison:
    """A comparison in numbers and words, from two columns (variant, baseline) and the p-values of
    the whole study.

    `confidence` and `wide` are the levels of the two intervals, `alpha` is that of the verdict:
    racing needs all three.
    """
    d_N = differences_of(pair)
    n, difference = len(d_N), float(d_N.mean()) if len(d_N) else float("nan")
    none = Interval(mean=difference, low=None, high=None)
    narrow_interval = paired_interval(d_N, confidence) if n else none
    wide_interval = paired_interval(d_N, wide) if n else none
    verdict = _verdict(d_N, p_holm, p_equivalent, alpha, margin)
    alone = verdict == UNDECIDED and p is not None and p <= alpha
    parts = [note, "one block: no interval" if n == 1 else "", _SPREADLESS.get(verdict, "")]
    parts.append("significant alone, not after Holm's correction" if alone else "")
    return Comparison(
        variant=pair.columns[0],
        baseline=pair.columns[1],
        n=n,
        mean=float(pair.iloc[:, 0].mean()),
        baseline_mean=float(pair.iloc[:, 1].mean()),
        difference=difference,
        low=narrow_interval.low,
        high=narrow_interval.high,
        wide_low=wide_interval.low,
        wide_high=wide_interval.high,
        p=p,
        p_holm=p_holm,
        p_signflip=p_signflip,
        p_equivalent=p_equivalent,
        effect_size=hedges_g(d_N),
        probability_better=share_of_wins(d_N),
        verdict=verdict,
        note="; ".join(part for part in parts if part),
    )


_SPREADLESS = {
    IDENTICAL: "all differences are 0: nothing to test",
    CONSTANT: "all differences are equal: no spread to test against",
}


def _verdict(
    d_N: Floats,
    p_holm: float | None,
    p_equivalent: float | None,
    alpha: float,
    margin: float | None,
) -> str:
    if not len(d_N):
        return NO_BLOCKS
    if len(d_N) > 1 and constant(d_N):
        return IDENTICAL if abs(d_N.mean()) <= SAME else CONSTANT
    if p_holm is not None and p_holm <= alpha:
        return BETTER if d_N.mean() > 0 else WORSE
    if p_equivalent is not None and p_equivalent <= alpha:
        return f"equivalent within {margin:g}"
    return UNDECIDED


def cell_note(outcomes: pd.DataFrame, variant: str, baseline: str) -> str:
    """What a reader must know of the cells behind a comparison: those that diverged, those that
    errored.
    """
    count = {
        name: outcomes.loc[outcomes["variant"] == name, "state"].value_counts()
        for name in (variant, baseline)
    }
    diverged = [int(count[name].get("diverged", 0)) for name in (variant, baseline)]
    errored = [int(count[name].get("errored", 0)) for name in (variant, baseline)]
    parts = []
    if any(diverged):
        parts.append(
            f"diverged, counted as chance: {diverged[0]} of the variant, {diverged[1]} of the "
            "baseline"
        )
    if any(errored):
        parts.append(
            f"errored, left out: {errored[0]} of the variant, {errored[1]} of the baseline"
        )
    return "; ".join(parts)


def frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """The comparisons as a table with their fields as columns, None as missing."""
    names = [field.name for field in fields(Comparison)]
    return pd.DataFrame([asdict(comparison) for comparison in comparisons], columns=names)


def finite_test_interval(
    accuracy: float, test_images: int, *, confidence: float = 0.95
) -> Interval:
    """Wilson's interval of one accuracy measured on so many test images: what a finite test set
    alone leaves open.
    """
    if not (0 <= accuracy <= 1 and test_images >= 1):
        raise ValueError(
            f"accuracy must lie in [0, 1] on 1 or more images, but got {accuracy=}, {test_images=}"
        )
    low, high = proportion_confint(
        accuracy * test_images, test_images, alpha=1 - confidence, method="wilson"
    )
    return Interval(mean=accuracy, low=float(low), high=float(high))


def rank_correlation(x: ArrayLike, y: ArrayLike) -> float:
    """Spearman's rank correlation in [-1, 1], ties at their mean rank; NaN where x or y is
    constant.
    """
    x_N, y_N = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if x_N.shape != y_N.shape or x_N.ndim != 1 or len(x_N) < 2:
        raise ValueError(
            f"x and y must be equally long lists of 2 or more numbers, but got {x=}, {y=}"
        )
    if np.ptp(x_N) == 0 or np.ptp(y_N) == 0:
        return float("nan")
    return float(stats.spearmanr(x_N, y_N).statistic)


def _summary(values_N: Floats, confidence: float) -> dict[str, float | None]:
    if not len(values_N):
        return {"n": 0}
    interval = paired_interval(values_N, confidence)
    sd = float(values_N.std(ddof=1)) if len(values_N) > 1 else None
    extremes = {"minimum": float(values_N.min()), "maximum": float(values_N.max())}
    return {
        "n": len(values_N),
        "mean": interval.mean,
        "sd": sd,
        "low": interval.low,
        "high": interval.high,
    } | extremes


def _variant_names(outcomes: pd.DataFrame) -> list[str]:
    present = set(outcomes["variant"])
    if isinstance(outcomes["variant"].dtype, pd.CategoricalDtype):
        return [name for name in outcomes["variant"].cat.categories if name in present]
    return sorted(present)


def _check_outcomes(outcomes: pd.DataFrame) -> None:
    missing = {"variant", "block", "state", "value"} - set(outcomes.columns)
    if missing:
        raise ValueError(
            f"outcomes need the columns variant, block, state, value, but got none for "
            f"{sorted(missing)}"
        )
    unknown = set(outcomes["state"]) - set(STATES)
    if unknown:
        raise ValueError(f"a state must be one of {STATES}, but got {sorted(map(str, unknown))}")
    twice = outcomes[outcomes.duplicated(["variant", "block"])]
    if len(twice):
        cells = twice[["variant", "block"]].to_dict("records")
        raise ValueError(f"a cell must be given once, but got more than one of {cells[:3]}")
    values = outcomes.loc[outcomes["state"] != "errored", "value"].astype(float)
    if not values.between(0, 1).all():
        raise ValueError(
            f"accuracies must lie in [0, 1], but got {values[~values.between(0, 1)].tolist()[:3]}"
        )
