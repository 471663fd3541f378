"""What the outcomes of a study say, and how sure one may be of it.

One primary analysis, fixed in advance: the difference of each variant to the baseline, paired over
the blocks that both share, with a t-interval, and Holm's correction over the study's comparisons.
Beside it, never instead of it: sign flips as a sensitivity, effect size, probability of
improvement, equivalence where a margin is stated.

All of it is conditional on what the blocks hold fixed. Where every block shares one teacher, one
pool and one test set, the intervals say nothing about another one;
the standard error of the test set in `summaries.summarise` is what its size alone leaves open.

N blocks of one comparison.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

import pandas as pd

from dfkd.stats.outcomes import by_block, cell_note, differences_of, paired_with
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
    t_test,
)

# With 5 blocks its smallest two-sided p is 2 / 2**5 = .06: it could never say anything.
MIN_BLOCKS_SIGN_FLIP = 8

BETTER, WORSE = "better", "worse"
UNDECIDED = "undecided"
IDENTICAL = "identical in every block"
CONSTANT = "constant difference, not testable"
NO_BLOCKS = "no shared block"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One variant against the baseline over their shared blocks; accuracies are fractions.

    `low`, `high` belong to this one comparison at the confidence asked for; the verdict follows
    `p_holm`, which is stricter where there are several comparisons. `wide_low`, `wide_high`
    (Bonferroni) hold for all comparisons at once: where they leave out zero, the verdict is never
    "undecided", and Holm decides a little more than they show. Holm's own simultaneous intervals
    (Strassburger & Bretz 2008) are one-sided and say nothing beyond zero for what was decided, so
    they are not offered.
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

    @property
    def in_words(self) -> str:
        """Return the verdict; of an undecided one also how many blocks were too few."""
        if self.verdict != UNDECIDED:
            return self.verdict
        return f"{UNDECIDED} ({self.n} block{'' if self.n == 1 else 's'})"


def compare(
    outcomes: pd.DataFrame, *, baseline: str, confidence: float = 0.95, margin: float | None = None
) -> list[Comparison]:
    """Compare every other variant with the baseline, Holm-corrected over all of them.

    `margin` (> 0, in accuracy) is the largest difference that would not matter; "equivalent" is
    said only where it is stated, at the same level with a Holm correction of its own, and only
    where no difference was found. For a study that was raced use `racing.race`: these p-values
    know nothing of earlier looks. Raises ValueError for an unknown baseline or malformed outcomes.
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
    """Return a comparison in numbers and words from two columns and the study's p-values.

    `pair`: the columns (variant, baseline). `confidence` and `wide` are the levels of the two
    intervals, `alpha` is that of the verdict: racing needs all three.
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
    if p_equivalent is not None and margin is not None and p_equivalent <= alpha:
        return f"equivalent within {100 * margin:g} points"
    return UNDECIDED


def frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Return the comparisons as a table with their fields as columns, None as missing."""
    names = [field.name for field in fields(Comparison)]
    return pd.DataFrame([asdict(comparison) for comparison in comparisons], columns=names)
