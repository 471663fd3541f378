"""Racing: its boundaries against other ways to the same numbers, and what a driver sees of it."""

import math

import numpy as np
import pandas as pd
import pytest
from outcome_tables import by_variant, outcomes, random_study
from scipy import stats

from dfkd.stats.comparisons import IDENTICAL, NO_BLOCKS, UNDECIDED, Comparison, compare
from dfkd.stats.racing import Plan, nominal_levels, race, sequential_p, usual_looks

PLAN = Plan(blocks=tuple(range(1, 21)), looks=usual_looks(20))


def test_usual_looks() -> None:
    assert [usual_looks(n) for n in (1, 5, 7, 8, 10)] == [(1,), (5,), (7,), (5, 8), (5, 10)]
    assert [usual_looks(n) for n in (12, 20, 21)] == [
        (5, 8, 12),
        (5, 8, 12, 16, 20),
        (5, 8, 12, 16, 21),
    ]


def test_two_looks_agree_with_the_bivariate_normal() -> None:
    first, second = (stats.norm.isf(level / 2) for level in nominal_levels((8, 20), 0.05))
    correlation = math.sqrt(8 / 20)
    inside = stats.multivariate_normal(cov=[[1, correlation], [correlation, 1]])
    outside = 1 - inside.cdf([first, second], lower_limit=[-first, -second])
    assert 2 * stats.norm.sf(first) == pytest.approx(0.05 * (8 / 20) ** 3)
    assert outside == pytest.approx(0.05, abs=1e-6)


def test_five_looks_agree_with_simulated_walks() -> None:
    looks = usual_looks(20)
    critical_K = stats.norm.isf(np.array(nominal_levels(looks, 0.05)) / 2)
    walks_SN = np.random.default_rng(0).standard_normal((400_000, 20)).cumsum(axis=1)
    scores_SK = np.abs(walks_SN[:, np.array(looks) - 1]) / np.sqrt(looks)
    crossed_K = np.maximum.accumulate(scores_SK > critical_K, axis=1).mean(axis=0)
    assert crossed_K == pytest.approx(
        0.05 * (np.array(looks) / 20) ** 3, abs=4 * math.sqrt(0.05 / 400_000)
    )


def test_levels_rise_with_the_overall_level_at_every_look() -> None:
    levels_AK = np.array(
        [nominal_levels(usual_looks(20), overall) for overall in np.geomspace(1e-9, 0.9, 30)]
    )
    assert np.all(np.diff(levels_AK, axis=0) > 0)


@pytest.mark.parametrize("overall", [0.0007, 0.0125, 0.05, 0.4])
def test_sequential_p_is_the_overall_level_that_would_just_decide(overall: float) -> None:
    looks = usual_looks(20)
    for look, level in enumerate(nominal_levels(looks, overall)):
        assert float(sequential_p(looks, look, level)) == pytest.approx(overall, rel=2e-3)


def test_race_with_one_look_is_the_fixed_analysis() -> None:
    study = random_study(6)
    plan = Plan(blocks=tuple(range(1, 7)), looks=(6,))
    standing = race(study, variants=["base", "v0", "v1", "v2"], baseline="base", plan=plan)
    assert (standing.running, standing.blocks) == ((), ())
    for raced, fixed in zip(standing.comparisons, compare(study, baseline="base"), strict=True):
        assert (raced.verdict, raced.n, raced.low) == (
            fixed.verdict,
            fixed.n,
            pytest.approx(fixed.low),
        )
        assert (raced.p, raced.wide_high) == (
            pytest.approx(fixed.p, rel=1e-3),
            pytest.approx(fixed.wide_high),
        )


def run_race(study: pd.DataFrame, variants: list[str]) -> tuple[pd.DataFrame, list[Comparison]]:
    """A driver: computes what the standing asks for until the race is over."""
    done = study.head(0)
    while True:
        standing = race(done, variants=variants, baseline="base", plan=PLAN)
        if not standing.running:
            return done, standing.comparisons
        wanted = study["variant"].isin([*standing.running, "base"]) & study["block"].isin(
            standing.blocks
        )
        done = pd.concat([done, study[wanted]]).drop_duplicates()


def test_race_stops_what_is_decided_and_runs_the_rest_to_the_end() -> None:
    study = random_study(20, effects=(0.12, 0.0), seed=2)
    done, comparisons = run_race(study, ["base", "v0", "v1"])
    found = by_variant(comparisons)
    assert (found["v0"].verdict, found["v0"].n) == ("better", 5)
    assert (found["v1"].verdict, found["v1"].n) == (UNDECIDED, 20)
    assert done["variant"].value_counts().to_dict() == {"base": 20, "v1": 20, "v0": 5}
    assert found["v0"].note.startswith("5 of 20 blocks")


@pytest.mark.slow
def test_race_does_not_depend_on_cells_beyond_a_look_or_on_their_order() -> None:
    study = random_study(20, effects=(0.12, 0.0, -0.012), seed=4)
    variants = ["base", "v0", "v1", "v2"]
    _, stepwise = run_race(study, variants)
    at_once = race(
        study.sample(frac=1, random_state=0), variants=variants, baseline="base", plan=PLAN
    )
    assert at_once.comparisons == stepwise
    # block 8 is missing for two of them
    early = study[(study["block"] <= 7) | (study["variant"] == "v0")]
    waiting = race(early, variants=variants, baseline="base", plan=PLAN)
    assert {comparison.n for comparison in waiting.comparisons} == {5}
    assert waiting.running == ("v1", "v2") and waiting.blocks == tuple(range(1, 9))


def test_race_before_its_first_cell() -> None:
    standing = race(outcomes({}), variants=["base", "v0"], baseline="base", plan=PLAN)
    assert (standing.running, standing.blocks) == (("v0",), (1, 2, 3, 4, 5))
    assert standing.comparisons[0].verdict == NO_BLOCKS


def test_race_goes_on_past_an_errored_cell_and_a_variant_without_spread() -> None:
    study = random_study(20, effects=(0.12, 0.0), seed=2)
    study.loc[(study["variant"] == "v0") & (study["block"] == 2), ["state", "value"]] = [
        "errored",
        np.nan,
    ]
    base = study.loc[study["variant"] == "base", "value"].to_numpy()
    study.loc[study["variant"] == "v1", "value"] = base
    found = by_variant(
        race(study, variants=["base", "v0", "v1"], baseline="base", plan=PLAN).comparisons
    )
    assert found["v0"].verdict == "better" and found["v0"].n < 20
    assert (found["v1"].verdict, found["v1"].p, found["v1"].n) == (IDENTICAL, None, 20)


def test_race_refuses_what_is_not_in_it() -> None:
    with pytest.raises(ValueError, match="belong to the race"):
        race(random_study(21), variants=["base", "v0", "v1", "v2"], baseline="base", plan=PLAN)
    with pytest.raises(ValueError, match="belong to the race"):
        race(random_study(20), variants=["base", "v0"], baseline="base", plan=PLAN)


@pytest.mark.parametrize("looks", [(), (5, 7, 20), (4, 20), (5, 8), (8, 5, 20)])
def test_plan_refuses_looks_that_are_not_calibrated(looks: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="looks must"):
        Plan(blocks=tuple(range(20)), looks=looks)
