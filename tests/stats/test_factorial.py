"""Effects and Shapley values against contrasts, an analysis of variance and a hand-worked game."""

import math

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from outcome_tables import outcomes
from scipy import stats

from dfkd.stats.factorial import effects, shapley_values

LEVELS = {
    "base": {"a": -1, "b": -1},
    "b": {"a": -1, "b": 1},
    "a": {"a": 1, "b": -1},
    "a+b": {"a": 1, "b": 1},
}


def factorial_study(blocks: int = 6, noise: float = 0.01) -> pd.DataFrame:
    """Mean .5; a adds .10 and b .04 on average, together .06 more than apart (interaction .03)."""
    rng = np.random.default_rng(0)
    block_N = 0.5 + 0.05 * rng.standard_normal(blocks)
    gain = {
        name: 0.05 * at["a"] + 0.02 * at["b"] + 0.015 * at["a"] * at["b"]
        for name, at in LEVELS.items()
    }
    return outcomes(
        {name: list(block_N + gain[name] + noise * rng.standard_normal(blocks)) for name in LEVELS}
    )


def test_factorial_recovers_exact_effects_and_invents_no_interval() -> None:
    found = {effect.term: effect for effect in effects(factorial_study(noise=0.0), LEVELS)}
    assert {term: round(effect.effect, 9) for term, effect in found.items()} == {
        "a": 0.10,
        "b": 0.04,
        "a:b": 0.03,
    }
    assert all(effect.p is None and effect.low is None for effect in found.values())


def test_factorial_agrees_with_contrasts_and_textbook_anova() -> None:
    """Balanced 2x2 in blocks: the residual is the total less blocks less effects.

    It has (4 - 1) * (blocks - 1) degrees of freedom.
    """
    study = factorial_study()
    wide_NV = study.pivot(index="block", columns="variant", values="value")[list(LEVELS)].to_numpy()
    blocks = len(wide_NV)
    signs = {"a": [-1, -1, 1, 1], "b": [-1, 1, -1, 1], "a:b": [1, -1, -1, 1]}
    estimates = {term: float(np.mean(wide_NV @ np.array(sign)) / 2) for term, sign in signs.items()}
    residual_NV = wide_NV - wide_NV.mean(axis=1, keepdims=True)
    residual_NV = residual_NV - sum(
        estimates[term] / 2 * np.array(sign) for term, sign in signs.items()
    )
    error = math.sqrt((residual_NV**2).sum() / (3 * (blocks - 1)) / blocks)
    half = stats.t.isf(0.025, 3 * (blocks - 1)) * error
    for effect in effects(study.sample(frac=1, random_state=1), LEVELS):
        assert effect.effect == pytest.approx(estimates[effect.term])
        assert (effect.low, effect.high) == (
            pytest.approx(effect.effect - half),
            pytest.approx(effect.effect + half),
        )
        assert effect.p == pytest.approx(
            2 * stats.t.sf(abs(effect.effect) / error, 3 * (blocks - 1))
        )


def test_factorial_refuses_cells_that_cannot_tell_terms_apart() -> None:
    study = factorial_study()
    with pytest.raises(ValueError, match="tell all terms apart"):
        effects(study[study["variant"] != "a+b"], LEVELS)
    with pytest.raises(ValueError, match="levels"):
        effects(study.replace({"variant": {"a+b": "other"}}), LEVELS)


def test_shapley_of_a_hand_worked_game() -> None:
    """Gains: a .10, b .02, a+b .18.

    Shapley: a = (.10 + .16) / 2 = .13, b = (.02 + .08) / 2 = .05; their sum is .18.
    """
    game = {"base": 0.5, "a": 0.60, "b": 0.52, "a+b": 0.68}
    study = outcomes({name: [value, value + 0.1] for name, value in game.items()})
    found = shapley_values(study, ["a", "b"], [("a", "b"), ("b", "a")])
    assert [attribution.value for attribution in found] == [
        pytest.approx(0.13),
        pytest.approx(0.05),
    ]
    assert all(attribution.low is None and attribution.sampling_se is None for attribution in found)


def test_shapley_leaves_incomplete_blocks_out() -> None:
    study = factorial_study(blocks=6)
    study = study[~((study["variant"] == "a") & (study["block"] == 3))]
    found = shapley_values(study, ["a", "b"], [("a", "b"), ("b", "a")])
    assert {attribution.n for attribution in found} == {5}
    with pytest.raises(ValueError, match="every coalition"):
        shapley_values(study[study["variant"] != "a"], ["a", "b"], [("a", "b"), ("b", "a")])


def spread_of(values_N: NDArray[np.float64]) -> float:
    return float(
        stats.t.isf(0.025, len(values_N) - 1) * values_N.std(ddof=1) / math.sqrt(len(values_N))
    )


def test_shapley_interval_is_the_t_interval_of_values_within_blocks() -> None:
    study = factorial_study()
    wide = study.pivot(index="block", columns="variant", values="value")
    share_N = ((wide["a"] - wide["base"]) + (wide["a+b"] - wide["b"])).to_numpy() / 2
    first = shapley_values(study, ["a", "b"], [("a", "b"), ("b", "a")])[0]
    assert first.value == pytest.approx(share_N.mean())
    assert first.low == pytest.approx(share_N.mean() - spread_of(share_N))
