"""Comparisons against a table worked out by hand, against scipy, and at their edges.

The hand-worked study has 4 blocks. For 3 degrees of freedom the t-distribution has a closed form:
P(|T| > t) = 1 - 2/pi * (atan(u) + u / (1 + u**2)) with u = t / sqrt(3).

    block     base    up   flat   down   up-base  flat-base  down-base
    1         .80    .83    .81    .78     +.03      +.01       -.02
    2         .82    .84    .81    .78     +.02      -.01       -.04
    3         .78    .82    .78    .76     +.04       .00       -.02
    4         .80    .83    .80    .76     +.03       .00       -.04
    mean      .80    .83    .80    .77     +.03       .00       -.03
    sum of squared deviations              .0002      .0002      .0004
    standard error = sqrt(SS / 3 / 4)     .00408248  .00408248  .00577350
    t                                     3 sqrt 6     0        -3 sqrt 3
    u                                     3 sqrt 2     0         3
    p                                     .005208    1          .013847
    Holm: times 3, 2, 1                   .015624    1          .027694
"""

import math

import numpy as np
import pandas as pd
import pytest
from outcome_tables import by_variant, outcomes, random_study
from scipy import stats

from dfkd.stats.comparisons import (
    CONSTANT,
    IDENTICAL,
    NO_BLOCKS,
    UNDECIDED,
    Comparison,
    compare,
    frame,
)
from dfkd.stats.paired import paired_interval, smallest_detectable
from dfkd.stats.summaries import summarise

T_975_3 = 3.182446  # printed tables: the 97.5 % point of t with 3 degrees of freedom
HAND = {
    "base": [0.80, 0.82, 0.78, 0.80],
    "up": [0.83, 0.84, 0.82, 0.83],
    "flat": [0.81, 0.81, 0.78, 0.80],
    "down": [0.78, 0.78, 0.76, 0.76],
}


# ---- the table worked out by hand


def test_hand_table_differences_and_intervals() -> None:
    found = by_variant(compare(outcomes(HAND), baseline="base"))
    for name, difference, error in (
        ("up", 0.03, 0.00408248),
        ("flat", 0.0, 0.00408248),
        ("down", -0.03, 0.00577350),
    ):
        assert found[name].difference == pytest.approx(difference, abs=1e-9)
        assert found[name].low == pytest.approx(difference - T_975_3 * error, abs=1e-6)
        assert found[name].high == pytest.approx(difference + T_975_3 * error, abs=1e-6)
        assert (found[name].n, found[name].baseline_mean) == (4, pytest.approx(0.80))


def test_hand_table_p_values_and_verdicts() -> None:
    found = by_variant(compare(outcomes(HAND), baseline="base"))
    expected = [
        ("up", 0.005208, 0.015624, "better"),
        ("down", 0.013847, 0.027694, "worse"),
        ("flat", 1, 1, UNDECIDED),
    ]
    for name, p, p_holm, verdict in expected:
        assert found[name].p == pytest.approx(p, abs=1e-6)
        assert found[name].p_holm == pytest.approx(p_holm, abs=2e-6)
        assert found[name].verdict == verdict
        assert found[name].p_signflip is None  # 4 blocks


def test_hand_table_effect_size_and_wins() -> None:
    """Up: d = .03 / .00816497 = 3.674235.

    Hedges' factor for 3 degrees of freedom is gamma(1.5) / sqrt(1.5) = .723601.
    """
    found = by_variant(compare(outcomes(HAND), baseline="base"))
    assert found["up"].effect_size == pytest.approx(3.674235 * 0.723601, abs=1e-5)
    assert found["flat"].effect_size == pytest.approx(0.0, abs=1e-9)
    # ties count a half
    assert [found[name].probability_better for name in ("up", "flat", "down")] == [1.0, 0.5, 0.0]


def test_hand_table_equivalence() -> None:
    """Flat within .02: t = .02 / .00408248 = 2 sqrt 6 and u = 2 sqrt 2.

    The one-sided p is .008138, times 3 after Holm.
    """
    found = by_variant(compare(outcomes(HAND), baseline="base", margin=0.02))
    assert found["flat"].p_equivalent == pytest.approx(3 * 0.008138, abs=3e-6)
    assert found["flat"].verdict == "equivalent within 2 points"
    assert found["up"].verdict == "better"


def test_hand_table_summary() -> None:
    """The baseline: mean .80, SS .0008, sd .0163299, half-width 3.182446 * .0163299 / 2.

    Of 100 images the standard error is .04.
    """
    summary = summarise(outcomes(HAND), test_images=100).set_index("variant")
    row = summary.loc["base"]
    assert (row["n"], row["finished"], row["diverged"], row["errored"]) == (4, 4, 0, 0)
    assert row["sd"] == pytest.approx(0.0163299, abs=1e-7)
    assert (row["low"], row["high"]) == (
        pytest.approx(0.8 - 0.0259846, abs=1e-6),
        pytest.approx(0.8259846, abs=1e-6),
    )
    assert row["test_se"] == pytest.approx(0.04)
    assert list(summary.index) == ["base", "down", "flat", "up"]


# ---- all comparisons of a study


@pytest.mark.parametrize("blocks", [2, 5, 20])
def test_agrees_with_scipy_paired_t(blocks: int) -> None:
    study = random_study(blocks)
    wide = study.pivot(index="block", columns="variant", values="value")
    for comparison in compare(study, baseline="base", confidence=0.9):
        theirs = stats.ttest_rel(wide[comparison.variant], wide["base"])
        interval = theirs.confidence_interval(0.9)
        wider = theirs.confidence_interval(1 - 0.1 / 3)
        assert comparison.p == pytest.approx(theirs.pvalue)
        assert (comparison.low, comparison.high) == (
            pytest.approx(interval.low),
            pytest.approx(interval.high),
        )
        assert (comparison.wide_low, comparison.wide_high) == (
            pytest.approx(wider.low),
            pytest.approx(wider.high),
        )


def test_wide_interval_without_zero_is_always_decided() -> None:
    for seed in range(15):
        for comparison in compare(
            random_study(8, effects=(0.015, 0.01, 0.0, -0.01), seed=seed), baseline="base"
        ):
            assert comparison.wide_low is not None and comparison.wide_high is not None
            if comparison.wide_low > 0 or comparison.wide_high < 0:
                assert comparison.verdict in ("better", "worse")


# ---- edges


def test_identical_in_every_block() -> None:
    # .1 + .2 is not .3 in floats
    study = outcomes({"base": [0.1 + 0.2, 0.7, 0.9], "same": [0.3, 0.7, 0.9]})
    (comparison,) = compare(study, baseline="base", margin=0.1)
    assert comparison.verdict == IDENTICAL
    assert (comparison.p, comparison.p_holm, comparison.low, comparison.effect_size) == (
        None,
        None,
        None,
        None,
    )
    assert comparison.probability_better == 0.5


def test_constant_difference_gets_no_invented_p_value() -> None:
    (comparison,) = compare(
        outcomes({"base": [0.5, 0.6, 0.7], "more": [0.6, 0.7, 0.8]}), baseline="base"
    )
    assert comparison.verdict == CONSTANT
    assert (comparison.p, comparison.low, comparison.high) == (None, None, None)
    assert "no spread" in comparison.note


def test_one_block_has_no_interval() -> None:
    (comparison,) = compare(outcomes({"base": [0.5], "more": [0.6]}), baseline="base")
    assert (comparison.n, comparison.difference, comparison.verdict) == (
        1,
        pytest.approx(0.1),
        UNDECIDED,
    )
    assert (comparison.low, comparison.p, comparison.p_holm) == (None, None, None)
    assert "one block" in comparison.note and comparison.in_words == "undecided (1 block)"
    assert summarise(outcomes({"base": [0.5]}))["low"].isna().all()


def test_missing_and_errored_blocks_are_left_out_of_the_pairs() -> None:
    study = outcomes(HAND)
    study = study[~((study["variant"] == "up") & (study["block"] == 2))]
    study.loc[(study["variant"] == "down") & (study["block"] == 3), ["state", "value"]] = [
        "errored",
        np.nan,
    ]
    found = by_variant(compare(study, baseline="base"))
    assert (found["up"].n, found["down"].n, found["flat"].n) == (3, 3, 4)
    assert found["up"].difference == pytest.approx(0.1 / 3)
    # over the shared blocks only
    assert found["up"].baseline_mean == pytest.approx((0.80 + 0.78 + 0.80) / 3)
    assert "errored, left out: 1 of the variant" in found["down"].note


def test_variant_without_any_usable_cell_is_still_listed() -> None:
    study = outcomes(HAND)
    study.loc[study["variant"] == "up", "state"] = "errored"
    found = by_variant(compare(study, baseline="base"))
    assert (found["up"].n, found["up"].verdict, found["up"].p_holm) == (0, NO_BLOCKS, None)
    assert found["down"].p_holm == pytest.approx(3 * 0.013847, abs=4e-6)  # still a family of three
    summary = summarise(study).set_index("variant")
    assert (summary.loc["up", "n"], summary.loc["up", "errored"]) == (0, 4)


def test_diverged_cells_count_with_the_value_given_and_are_named() -> None:
    study = outcomes(HAND)
    study.loc[(study["variant"] == "up") & (study["block"] == 1), ["state", "value"]] = [
        "diverged",
        0.1,
    ]
    found = by_variant(compare(study, baseline="base"))
    assert found["up"].difference == pytest.approx((-0.70 + 0.02 + 0.04 + 0.03) / 4)
    assert "diverged, counted as chance: 1 of the variant, 0 of the baseline" in found["up"].note
    assert found["up"].verdict == UNDECIDED and found["up"].in_words == "undecided (4 blocks)"


def test_order_of_rows_does_not_matter() -> None:
    study = random_study(9)
    shuffled = study.sample(frac=1, random_state=3)
    assert compare(study, baseline="base") == compare(shuffled, baseline="base")
    pd.testing.assert_frame_equal(summarise(study), summarise(shuffled))


def test_categorical_variants_keep_their_order() -> None:
    study = outcomes(HAND)
    study["variant"] = pd.Categorical(study["variant"], categories=["up", "base", "down", "flat"])
    assert summarise(study)["variant"].tolist() == ["up", "base", "down", "flat"]
    assert [comparison.variant for comparison in compare(study, baseline="base")] == [
        "up",
        "down",
        "flat",
    ]


def test_frame_has_one_row_a_comparison() -> None:
    table = frame(compare(outcomes(HAND), baseline="base"))
    assert table.shape == (3, len(Comparison.__dataclass_fields__))
    assert frame([]).columns.tolist() == table.columns.tolist()


def test_sign_flips_from_8_blocks() -> None:
    assert all(
        comparison.p_signflip is None for comparison in compare(random_study(7), baseline="base")
    )
    assert all(
        comparison.p_signflip is not None
        for comparison in compare(random_study(8), baseline="base")
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda study: study.drop(columns="state"), "columns"),
        (lambda study: study.assign(state="pruned"), "state must be one of"),
        (lambda study: pd.concat([study, study.head(1)]), "once"),
        (lambda study: study.assign(value=93.7), r"\[0, 1\]"),
        (lambda study: study.assign(value=np.nan), r"\[0, 1\]"),
        (lambda study: study[study["variant"] != "base"], "baseline must be one of"),
    ],
)
def test_malformed_outcomes_are_refused(change: object, message: str) -> None:
    assert callable(change)
    with pytest.raises(ValueError, match=message):
        compare(change(outcomes(HAND)), baseline="base")


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="confidence"):
        compare(outcomes(HAND), baseline="base", confidence=95)
    with pytest.raises(ValueError, match="margin"):
        compare(outcomes(HAND), baseline="base", margin=0.0)
    with pytest.raises(ValueError, match="finite"):
        paired_interval([0.1, math.nan])
    with pytest.raises(ValueError, match="2 or more blocks"):
        smallest_detectable(1, 0.1)
