"""Do the statistics keep their promises?

Simulated studies with known truth, analysed as the product analyses them.

    python benchmarks/calibration.py [--studies 20000]

prints a Markdown table; 20,000 studies a row take a minute or two on one core. A study has four
variants and a baseline; its truth is either "no effects" or "half effects": two of the four carry
the effect that a fixed design of so many blocks finds with 80 % power
(statistics.smallest_detectable). The analysis is written once more here, over many studies at a
time; `disagreements` runs the product's own functions on some of the same studies, and has to find
none.

Shapes: S studies, N blocks, V variants with the baseline last, M = V - 1 comparisons.
"""

import argparse
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

# run from a checkout that is not installed
sys.path.append(str(Path(__file__).resolve().parents[1]))

from benchmarks.simulated_studies import DIFFERENCE_SD, STRESS, VARIANTS, WORLDS, Array, World
from dfkd.stats.comparisons import UNDECIDED, Comparison, compare
from dfkd.stats.paired import smallest_detectable
from dfkd.stats.racing import Plan, nominal_levels, race, sequential_p, usual_looks

EFFECTS = 2  # in "half effects" the first two variants carry one
ALPHA = 0.05
CHECKED = 20  # studies a world that the product's own functions analyse as well


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What the analysis of many studies said.

    Decided or not, the interval's ends, and after how many blocks.
    """

    differences_SM: Array
    decided_SM: NDArray[np.bool_]
    low_SM: Array
    high_SM: Array
    blocks_SM: NDArray[np.int64]


def fixed(differences_SNM: Array) -> Analysis:
    """`statistics.compare` over many studies."""
    return raced(differences_SNM, (differences_SNM.shape[1],))


def raced(differences_SNM: Array, looks: tuple[int, ...]) -> Analysis:
    """`racing.race` over many studies; with one look it is the fixed analysis."""
    p_SM = np.ones((differences_SNM.shape[0], differences_SNM.shape[2]))
    mean_SM, half_SM = np.zeros_like(p_SM), np.zeros_like(p_SM)
    stopped_SM, blocks_SM = np.zeros(p_SM.shape, dtype=bool), np.zeros(p_SM.shape, dtype=np.int64)
    for look, (n, level) in enumerate(zip(looks, nominal_levels(looks, ALPHA), strict=True)):
        mean_now_SM = differences_SNM[:, :n].mean(axis=1)
        error_SM = differences_SNM[:, :n].std(axis=1, ddof=1) / math.sqrt(n)
        p_now_SM = 2 * special.stdtr(n - 1, -np.abs(mean_now_SM) / error_SM)
        if len(looks) > 1:
            p_now_SM = sequential_p(looks, look, p_now_SM)
        running_SM = ~stopped_SM
        p_SM = np.where(running_SM, np.minimum(p_SM, p_now_SM), p_SM)
        mean_SM = np.where(running_SM, mean_now_SM, mean_SM)
        half_SM = np.where(running_SM, stats.t.isf(level / 2, n - 1) * error_SM, half_SM)
        blocks_SM = np.where(running_SM, n, blocks_SM)
        stopped_SM |= holm_many(p_SM) <= ALPHA
    return Analysis(
        differences_SM=mean_SM,
        decided_SM=stopped_SM,
        low_SM=mean_SM - half_SM,
        high_SM=mean_SM + half_SM,
        blocks_SM=blocks_SM,
    )


def peeked(differences_SNM: Array, looks: tuple[int, ...]) -> NDArray[np.bool_]:
    """What not to do: peek.

    The fixed analysis at every look, stopping at the first that is significant.
    """
    found_SM = np.zeros((differences_SNM.shape[0], differences_SNM.shape[2]), dtype=bool)
    for n in looks:
        found_SM |= fixed(differences_SNM[:, :n]).decided_SM
    return found_SM


def holm_many(p_SM: Array) -> Array:
    """Holm's correction within each study."""
    order_SM = np.argsort(p_SM, axis=1)
    factors_M = np.arange(p_SM.shape[1], 0, -1)
    sorted_SM = np.maximum.accumulate(
        np.take_along_axis(p_SM, order_SM, axis=1) * factors_M, axis=1
    )
    corrected_SM = np.empty_like(p_SM)
    np.put_along_axis(corrected_SM, order_SM, np.minimum(sorted_SM, 1.0), axis=1)
    return corrected_SM


@dataclass(frozen=True, kw_only=True)
class Row:
    """Shares in [0, 1] for one world and number of blocks.

    `alarms` are family-wise, `coverage` is per interval.
    """

    world: str
    blocks: int
    # a variant without effect called better or worse; the worse of "no effects", "half effects"
    alarms_fixed: float
    alarms_raced: float
    alarms_peeked: float
    # raced, every comparison as if it were a study of its own: no slack from Holm's correction
    alarms_single: float
    coverage_fixed: float  # both truths together
    coverage_raced: float
    power_fixed: float  # variants with the known effect decided in the direction of the truth
    power_raced: float
    saved_no_effect: float  # blocks not run, of those planned, per variant
    saved_effect: float
    saved_twice_effect: float


def calibrate(world: World, blocks: int, *, studies: int, seed: int) -> Row:
    """Simulate and analyse; every number rests on `studies` studies, coverage on both truths."""
    rng = np.random.default_rng([seed, blocks])
    effect = smallest_detectable(blocks, DIFFERENCE_SD, comparisons=VARIANTS - 1)
    looks = usual_looks(blocks)
    shape_SNV = (studies, blocks, VARIANTS)
    none, half, twice = (
        _simulate(world, rng, size, shape_SNV) for size in (0.0, effect, 2 * effect)
    )
    both = (none, half)
    fixed_both = [fixed(differences_SNM) for differences_SNM, _ in both]
    raced_both = [raced(differences_SNM, looks) for differences_SNM, _ in both]
    truths = [truth_M for _, truth_M in both]
    is_null = [np.abs(truth_M) < 1e-12 for truth_M in truths]
    return Row(
        world=world.__name__,
        blocks=blocks,
        alarms_fixed=_alarms([analysis.decided_SM for analysis in fixed_both], is_null),
        alarms_raced=_alarms([analysis.decided_SM for analysis in raced_both], is_null),
        alarms_peeked=_alarms(
            [peeked(differences_SNM, looks) for differences_SNM, _ in both], is_null
        ),
        alarms_single=_single(none[0], looks, is_null[0]),
        coverage_fixed=_coverage(fixed_both, truths),
        coverage_raced=_coverage(raced_both, truths),
        power_fixed=_power(fixed_both[1], truths[1]),
        power_raced=_power(raced_both[1], truths[1]),
        saved_no_effect=_saved(raced_both[0], blocks),
        saved_effect=_saved(raced_both[1], blocks),
        saved_twice_effect=_saved(raced(twice[0], looks), blocks),
    )


def _simulate(
    world: World, rng: np.random.Generator, effect: float, shape_SNV: tuple[int, int, int]
) -> tuple[Array, Array]:
    """Paired differences_SNM to the baseline, and their true means_M."""
    values_SNV, means_V = world(
        rng, np.where(np.arange(VARIANTS) < EFFECTS, effect, 0.0), shape_SNV
    )
    return values_SNV[..., :-1] - values_SNV[..., -1:], means_V[:-1] - means_V[-1]


def _alarms(decided: list[NDArray[np.bool_]], is_null: list[NDArray[np.bool_]]) -> float:
    shares = [
        decided_SM[:, null_M].any(axis=1).mean()
        for decided_SM, null_M in zip(decided, is_null, strict=True)
    ]
    return max(map(float, shares)) if any(null_M.any() for null_M in is_null) else math.nan


def _single(differences_SNM: Array, looks: tuple[int, ...], null_M: NDArray[np.bool_]) -> float:
    alone = [
        raced(differences_SNM[..., [m]], looks).decided_SM.mean() for m in np.flatnonzero(null_M)
    ]
    return float(np.mean(alone)) if alone else math.nan


def _coverage(analyses: list[Analysis], truths: list[Array]) -> float:
    inside = [
        (a.low_SM <= truth_M) & (truth_M <= a.high_SM)
        for a, truth_M in zip(analyses, truths, strict=True)
    ]
    return float(np.mean(inside))


def _power(analysis: Analysis, truth_M: Array) -> float:
    right_SM = analysis.decided_SM & (np.sign(analysis.differences_SM) == np.sign(truth_M))
    return float(right_SM[:, :EFFECTS].mean())


def _saved(analysis: Analysis, blocks: int) -> float:
    return 1 - float(analysis.blocks_SM[:, :EFFECTS].mean()) / blocks


def disagreements(world: World, blocks: int, *, studies: int, seed: int) -> list[str]:
    """Return the studies on which `compare` or `race` and this script differ."""
    rng = np.random.default_rng(seed)
    looks = usual_looks(blocks)
    effects_V = np.where(np.arange(VARIANTS) < EFFECTS, 1.5 * DIFFERENCE_SD, 0.0)
    values_SNV, _ = world(rng, effects_V, (studies, blocks, VARIANTS))
    differences_SNM = values_SNV[..., :-1] - values_SNV[..., -1:]
    names = [f"v{i}" for i in range(VARIANTS)]
    plan = Plan(blocks=tuple(range(blocks)), looks=looks, confidence=1 - ALPHA)
    many = {"compare": fixed(differences_SNM), "race": raced(differences_SNM, looks)}
    found = []
    for study, values_NV in enumerate(values_SNV):
        outcomes = outcomes_frame(values_NV, names)
        one = {
            "compare": compare(outcomes, baseline=names[-1]),
            "race": race(outcomes, variants=names, baseline=names[-1], plan=plan).comparisons,
        }
        found += [f"{how} {study}" for how in one if not _same(one[how], many[how], study)]
    return found


def outcomes_frame(values_NV: Array, names: list[str]) -> pd.DataFrame:
    wide = pd.DataFrame(values_NV, columns=names).rename_axis("block").reset_index()
    return wide.melt(id_vars="block", var_name="variant", value_name="value").assign(
        state="finished"
    )


def _same(comparisons: list[Comparison], many: Analysis, study: int) -> bool:
    decided = [comparison.verdict != UNDECIDED for comparison in comparisons]
    numbers = [[c.n, c.difference, c.low, c.high] for c in comparisons]
    arrays = (many.blocks_SM, many.differences_SM, many.low_SM, many.high_SM)
    expected = np.stack([array_SM[study] for array_SM in arrays], axis=1)
    return decided == many.decided_SM[study].tolist() and np.allclose(
        np.array(numbers, dtype=float), expected
    )


HEADERS = (
    "outcomes",
    "blocks",
    "false alarms",
    "with racing",
    "when peeking",
    "one comparison, racing",
    "coverage",
    "with racing",
    "power",
    "with racing",
    "blocks saved, no effect",
    "known effect",
    "twice that",
)


def rows(studies: int, seed: int, blocks: tuple[int, ...] = (5, 10, 20)) -> Iterator[Row]:
    for index, world in enumerate((*WORLDS, *STRESS)):
        for n in blocks:
            yield calibrate(world, n, studies=studies, seed=seed + index)


def markdown(row: Row) -> str:
    shares = [getattr(row, field.name) for field in fields(row)[2:]]
    cells = ["-" if math.isnan(share) else f"{100 * share:.1f}" for share in shares]
    return f"| {row.world.replace('_', ' ')} | {row.blocks} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Calibration of the statistics on simulated studies."
    )
    parser.add_argument("--studies", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(
        f"{arguments.studies} studies a row, {VARIANTS - 1} comparisons, seed {arguments.seed}; "
        "all figures in %.\n"
    )
    print("| " + " | ".join(HEADERS) + " |")
    print("|---|" + "---:|" * (len(HEADERS) - 1))
    for row in rows(arguments.studies, arguments.seed):
        print(markdown(row), flush=True)
    differing = [
        found
        for world in WORLDS
        for found in disagreements(world, 20, studies=CHECKED, seed=arguments.seed)
    ]
    checked = CHECKED * len(WORLDS)
    print(
        f"\n`compare` and `race` on {checked} such studies: {len(differing)} differ. "
        f"{' '.join(differing)}".rstrip()
    )


if __name__ == "__main__":
    main()
