"""What factors do, from the outcomes of a factorial design or of coalitions of components.

Effects of a factorial are averages over the levels of the other factors; a leave-one-out difference
holds at the full recipe. The two answer different questions and a report has to name which one it
shows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dfkd.stats.aliases import alias_groups, alias_line, column
from dfkd.stats.designs import Levels, coalition_name
from dfkd.stats.outcomes import by_block
from dfkd.stats.paired import SAME, Floats, check_confidence, holm, paired_interval, t_test


@dataclass(frozen=True, kw_only=True)
class Effect:
    """A main effect or an interaction, in accuracy.

    The mean at level +1 of the term less the mean at level -1. For an interaction a:b it is half
    the difference between the effect of a where b is applied and where it is not.
    """

    term: str  # "dropping" or "dropping:explicit"
    # the whole group, "a = -b:c", where the design mixes effects; "" where the term is clear
    aliases: str
    n: int  # cells
    effect: float
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """A component's Shapley value, in accuracy.

    Its mean gain over the orders in which components can join.
    """

    component: str
    n: int  # blocks
    value: float
    low: float | None  # over blocks, given the orders used
    high: float | None
    p: float | None
    p_holm: float | None
    # what sampling the orders leaves open; None where all orders are used
    sampling_se: float | None


def effects(
    outcomes: pd.DataFrame, levels: Levels, *, order: int = 2, confidence: float = 0.95
) -> list[Effect]:
    """Estimate main effects and interactions of up to `order` factors.

    By least squares with every block as a fixed effect. Terms that the design mixes are one row
    with its aliases. Interactions above `order`, and variant-by-block noise, make the residual.
    Holm's correction runs over all rows. No interval and no p where no residual is left. Raises
    ValueError where the cells that are there cannot tell the terms apart, or for a variant without
    levels.
    """
    check_confidence(confidence)
    cells = _cells(outcomes, levels)
    groups = alias_groups(levels, order=order)
    codes = pd.DataFrame(
        {alias_line(group[:1]): column(levels, group[0][1]) for group in groups}, index=list(levels)
    )
    blocks = pd.get_dummies(cells["block"], dtype=float).to_numpy()
    inputs = np.hstack([blocks, codes.loc[cells["variant"]].to_numpy(dtype=float)])
    if np.linalg.matrix_rank(inputs) < inputs.shape[1]:
        raise ValueError(
            f"cells must tell all terms apart, but got {len(cells)} cells for {list(codes.columns)}"
        )
    estimates = _least_squares(cells["value"].to_numpy(dtype=float), inputs, confidence)
    coefficients, half, p = (of_inputs[blocks.shape[1] :] for of_inputs in estimates)
    rows = zip(groups, coefficients, half, p, strict=True)
    corrected = holm([_known(p_term) for p_term in p])
    return [
        Effect(
            term=alias_line(group[:1]),
            aliases=alias_line(group) if len(group) > 1 else "",
            n=len(cells),
            effect=2 * float(b),
            low=_known(2 * (b - h)),
            high=_known(2 * (b + h)),
            p=_known(p_term),
            p_holm=p_holm,
        )
        for (group, b, h, p_term), p_holm in zip(rows, corrected, strict=True)
    ]


def shapley_values(
    outcomes: pd.DataFrame,
    components: Sequence[str],
    orders: Sequence[tuple[str, ...]],
    *,
    confidence: float = 0.95,
) -> list[Attribution]:
    """Compute each component's Shapley value per block, then its mean and t-interval over blocks.

    `components` are named in the order that `designs.shapley` was given, `orders` are those of
    `designs.shapley_orders`. In every block the values add up to the outcome of all components less
    that of none. Blocks that lack a coalition are left out. Raises ValueError where none is left.
    """
    values = by_block(outcomes)
    needed = {
        coalition_name(components, order[:k]) for order in orders for k in range(len(order) + 1)
    }
    missing = needed - set(values.columns)
    complete = values.dropna(subset=list(needed - missing))
    if missing or not len(complete):
        raise ValueError(
            f"some block must have every coalition, but got {missing=} and {len(values)} blocks"
        )
    # by order: blocks x components
    gains = [_gains(complete, components, order) for order in orders]
    shares = sum(gains[1:], start=gains[0]) / len(gains)
    tests = [t_test(shares[name].to_numpy()) for name in components]
    exact = len(set(orders)) == math.factorial(len(components))
    return [
        _attribution(name, shares, gains, exact, confidence, p, p_holm)
        for name, p, p_holm in zip(components, tests, holm(tests), strict=True)
    ]


def _cells(outcomes: pd.DataFrame, levels: Levels) -> pd.DataFrame:
    """Return one row per usable cell, in an order that does not depend on that of the outcomes."""
    unknown = set(outcomes["variant"]) - set(levels)
    if unknown:
        raise ValueError(f"every variant needs its levels, but got none for {sorted(unknown)}")
    values = by_block(outcomes)
    values = values[[name for name in levels if name in values.columns]]
    values.columns = values.columns.astype(object)
    return (
        values.reset_index().melt(id_vars="block", var_name="variant", value_name="value").dropna()
    )


def _least_squares(
    outputs: Floats, inputs: Floats, confidence: float
) -> tuple[Floats, Floats, Floats]:
    """Return coefficients, half-widths of their intervals and p-values.

    The last two are NaN where no residual is left.
    """
    from statsmodels.regression.linear_model import OLS  # few need it, and it imports a lot

    fit = OLS(outputs, inputs).fit()
    nothing = np.full(len(fit.params), np.nan)
    if fit.df_resid < 1 or np.abs(fit.resid).max() <= SAME:
        return fit.params, nothing, nothing
    half = fit.conf_int(alpha=1 - confidence)[:, 1] - fit.params
    return fit.params, half, fit.pvalues


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _gains(values: pd.DataFrame, components: Sequence[str], order: tuple[str, ...]) -> pd.DataFrame:
    """Return what each component adds to those before it in this order, in each block."""
    names = [coalition_name(components, order[:k]) for k in range(len(order) + 1)]
    gained = {order[k]: values[names[k + 1]] - values[names[k]] for k in range(len(order))}
    return pd.DataFrame(gained)[list(components)]


def _attribution(
    name: str,
    shares: pd.DataFrame,
    gains: list[pd.DataFrame],
    exact: bool,
    confidence: float,
    p: float | None,
    p_holm: float | None,
) -> Attribution:
    interval = paired_interval(shares[name].to_numpy(), confidence)
    return Attribution(
        component=name,
        n=len(shares),
        value=interval.mean,
        low=interval.low,
        high=interval.high,
        p=p,
        p_holm=p_holm,
        sampling_se=None
        if exact
        else _sampling_se(np.array([gain[name].mean() for gain in gains])),
    )


def _sampling_se(gains_of_orders: Floats) -> float | None:
    """Return the standard error from pairs of an order and its reverse.

    The two of a pair are not independent, the means of pairs are.
    """
    pairs = gains_of_orders.reshape(-1, 2).mean(axis=1)
    return float(pairs.std(ddof=1) / math.sqrt(len(pairs))) if len(pairs) > 1 else None
