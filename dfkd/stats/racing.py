"""Racing: a comparison that is decided takes no more blocks, and its error rates still hold.

Looks happen only after fixed numbers of completed blocks. One plan spends the false-alarm level
over them (Lan & DeMets 1983): level * (blocks / all blocks)**3, the O'Brien-Fleming-like member of
the power family (Kim & DeMets 1987). It spends an eighth in the first half. Unlike O'Brien &
Fleming's own function it leaves something early on even at the small levels that several
comparisons ask for: after 5 of 20 blocks one of four comparisons is decided by p < 2e-4, there by p
< 6e-7, which no t-test with 4 degrees of freedom gives in practice.

Joint with Holm: the p-value of a comparison is the smallest overall level at which the plan would
have decided it by now (a sequential p-value, Liu & Anderson 2008). It is valid wherever one stops,
so Holm's correction over such p-values holds for the whole study. Intervals are repeated confidence
intervals (Jennison & Turnbull 1989), valid at every look. Boundaries are worked out for normal
means and carried over to t-tests by their levels (Jennison & Turnbull 2000). With looks that begin
at 5 blocks and lie 3 apart this spends at most 8 % too much (5.4 % for 5 %; every block from the
third on: 5.8 %), which is why a plan must keep that distance. There is no futility rule: a variant
without effect takes all blocks.

Shapes: K looks, A overall levels of a table, G quadrature nodes.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import numpy as np
import pandas as pd
import scipy  # its parts are imported when they are used

from dfkd.stats.comparisons import Comparison, describe
from dfkd.stats.outcomes import by_block, cell_note, differences_of
from dfkd.stats.paired import Floats, check_confidence, holm, t_test

Block: TypeAlias = str | int

FIRST_LOOK, APART = 5, 3
NODES = 64  # the boundaries do not move by 1e-6 of their level with twice as many
# Sequential p-values outside are reported as the nearest end; the table between has 80 rows.
LOWEST, HIGHEST, TABLE = 1e-10, 0.999, 80


@dataclass(frozen=True, kw_only=True)
class Plan:
    """When a race looks, fixed before its first cell: after so many of the blocks, in their order.

    `looks` begin at 5 or more, lie 3 or more apart and end with all blocks; a single look is the
    fixed design. Anything else is a ValueError.
    """

    blocks: tuple[Block, ...]
    looks: tuple[int, ...]
    confidence: float = 0.95

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        if len(set(self.blocks)) != len(self.blocks) or not self.blocks:
            raise ValueError(
                f"blocks must be one or more, each named once, but got blocks={self.blocks!r}"
            )
        apart = all(early + APART <= late for early, late in itertools.pairwise(self.looks))
        early = len(self.looks) > 1 and self.looks[0] < FIRST_LOOK
        if not apart or early or self.looks[-1:] != (len(self.blocks),):
            rule = (
                f"begin at {FIRST_LOOK} or more, lie {APART} or more apart, end with all "
                f"{len(self.blocks)} blocks"
            )
            raise ValueError(f"looks must {rule}, but got looks={self.looks!r}")


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Every comparison so far, and what has to be computed before the next look."""

    comparisons: list[Comparison]
    # the variants that need more blocks, as does the baseline; empty when the race is over
    running: tuple[str, ...]
    # all blocks of the next look, those they have already included; empty when it is over
    blocks: tuple[Block, ...]


def usual_looks(blocks: int) -> tuple[int, ...]:
    """Return looks after 5 and 8 blocks, then after every 4, and at the end.

    (5, 8, 12, 16, 20) for 20 blocks, (5, 10) for 10, (7,) for 7.
    """
    return (*[n for n in (FIRST_LOOK, *range(8, blocks, 4)) if n <= blocks - APART], blocks)


def race(outcomes: pd.DataFrame, *, variants: Sequence[str], baseline: str, plan: Plan) -> Standing:
    """Work out from the outcomes where the race stands.

    The answer is the same after a resume and whatever finished first. A look happens once every
    running variant and the baseline have a row, in whatever state, for each of its blocks; cells
    beyond it do not count yet. `variants` are those of the whole study, baseline included: the
    family that is corrected for, also while they have no outcomes. A comparison that stopped early
    did so because its difference was large, so that its estimate leans away from zero; its interval
    stays valid. Raises ValueError for outcomes that do not belong to the race.
    """
    values, seen = _tables(outcomes, variants, baseline, plan)
    p: dict[str, float | None] = {name: None for name in variants if name != baseline}
    reached = dict.fromkeys(p, -1)
    running = list(p)
    for look, blocks in enumerate(plan.looks):
        if not running or not seen[[*running, baseline]].iloc[:blocks].to_numpy().all():
            break
        for name in running:
            reached[name] = look
            now = _look(values[[name, baseline]].iloc[:blocks], plan.looks, look)
            p[name] = min((one for one in (p[name], now) if one is not None), default=None)
        decided = dict(zip(p, holm(list(p.values())), strict=True))
        running = [name for name in running if not _decides(decided[name], plan)]
    running = [name for name in running if reached[name] + 1 < len(plan.looks)]
    waiting_for = plan.blocks[: plan.looks[reached[running[0]] + 1]] if running else ()
    comparisons = _comparisons(outcomes, values, baseline, plan, p, reached)
    return Standing(comparisons=comparisons, running=tuple(running), blocks=waiting_for)


def nominal_levels(looks: tuple[int, ...], overall: float) -> tuple[float, ...]:
    """Return the two-sided level of the test at each look that together spend `overall`.

    The probability of a first crossing at each look is integrated along the sum of n normal
    differences, a random walk with independent steps (Armitage, McPherson & Rowe 1969), by
    Gauss-Legendre quadrature between the boundaries.
    """
    nodes_G, weights_G = _quadrature()
    # where the walk stands if it has not crossed yet, and how likely
    sums_G, mass_G = np.zeros(1), np.ones(1)
    levels, earlier = [], 0
    for n in looks:
        step = np.sqrt(n - earlier)
        spend = overall * (n**3 - earlier**3) / looks[-1] ** 3
        critical = scipy.optimize.brentq(
            _excess, 0.0, 40.0, args=(sums_G, mass_G, n, step, spend), xtol=1e-10
        )
        levels.append(float(2 * scipy.special.ndtr(-critical)))
        next_G = nodes_G * critical * np.sqrt(n)
        steps_GG = (next_G - sums_G[:, None]) / step
        density_G = mass_G @ np.exp(-(steps_GG**2) / 2) / (step * np.sqrt(2 * np.pi))
        sums_G, mass_G, earlier = next_G, density_G * weights_G * critical * np.sqrt(n), n
    return tuple(levels)


def sequential_p(looks: tuple[int, ...], look: int, p: Floats | float) -> Floats:
    """Return the overall level at which the plan would decide at this look.

    p: that of the look's test, or an array of them; the result rises with it.
    """
    overall_A, levels_AK = _table(looks)
    log_p = np.log(np.maximum(p, levels_AK[0, look]))
    return np.asarray(np.exp(np.interp(log_p, np.log(levels_AK[:, look]), np.log(overall_A))))


@cache
def _quadrature() -> tuple[Floats, Floats]:
    nodes_G, weights_G = np.polynomial.legendre.leggauss(NODES)
    return nodes_G, weights_G


@cache
def _table(looks: tuple[int, ...]) -> tuple[Floats, Floats]:
    overall_A = np.geomspace(LOWEST, HIGHEST, TABLE)
    return overall_A, np.array([nominal_levels(looks, overall) for overall in overall_A])


def _excess(
    critical: float, sums_G: Floats, mass_G: Floats, n: int, step: float, spend: float
) -> float:
    """Return the probability of crossing now and not before, less what may be spent on it."""
    bound = critical * np.sqrt(n)
    crossing_G = scipy.special.ndtr((sums_G - bound) / step) + scipy.special.ndtr(
        (-bound - sums_G) / step
    )
    return float(mass_G @ crossing_G - spend)


def _tables(
    outcomes: pd.DataFrame, variants: Sequence[str], baseline: str, plan: Plan
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return values, and whether there is a row at all: blocks in the plan's order, by variants."""
    unknown = set(outcomes["variant"]) - set(variants) or set(outcomes["block"]) - set(plan.blocks)
    if unknown or baseline not in variants:
        raise ValueError(
            f"outcomes and baseline must belong to the race, but got {unknown=}, {baseline=}, "
            f"{variants=}"
        )
    values = by_block(outcomes)
    seen = outcomes.assign(seen=1).pivot(index="block", columns="variant", values="seen").notna()
    blocks, names = list(plan.blocks), list(variants)
    return values.reindex(index=blocks, columns=names), seen.reindex(
        index=blocks, columns=names, fill_value=False
    )


def _look(pair: pd.DataFrame, looks: tuple[int, ...], look: int) -> float | None:
    p = t_test(differences_of(pair.dropna()))
    return None if p is None else float(sequential_p(looks, look, p))


def _decides(p_holm: float | None, plan: Plan) -> bool:
    return p_holm is not None and p_holm <= 1 - plan.confidence


def _comparisons(
    outcomes: pd.DataFrame,
    values: pd.DataFrame,
    baseline: str,
    plan: Plan,
    p: dict[str, float | None],
    reached: dict[str, int],
) -> list[Comparison]:
    alpha = 1 - plan.confidence
    narrow = nominal_levels(plan.looks, alpha)
    wide = nominal_levels(plan.looks, alpha / len(p)) if p else ()
    results = []
    for (name, p_sequential), p_holm in zip(p.items(), holm(list(p.values())), strict=True):
        look = reached[name]
        blocks = plan.looks[look] if look >= 0 else 0
        cells = cell_note(outcomes[outcomes["block"].isin(plan.blocks[:blocks])], name, baseline)
        note = "; ".join(filter(None, [f"{blocks} of {len(plan.blocks)} blocks", cells]))
        pair = values[[name, baseline]].iloc[:blocks].dropna()
        levels = {"alpha": alpha, "confidence": 1 - narrow[look], "wide": 1 - wide[look]}
        results.append(describe(pair, **levels, p=p_sequential, p_holm=p_holm, note=note))
    return results
