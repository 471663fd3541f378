"""Simulated studies of which the truth is known, for `calibration.py`: outcomes in several worlds.

Shapes: S studies, N blocks, V variants with the baseline last, M = V - 1 comparisons.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

VARIANTS = 5  # four comparisons
LEVEL, CHANCE = 0.8, 0.1
BLOCK_SD, CELL_SD = 0.03, 0.01  # a block moves all its variants alike; pairing takes that out
DIFFERENCE_SD = CELL_SD * math.sqrt(2)
BLOCKS_COLLAPSE, CELLS_COLLAPSE = 0.1, 0.05

Array = NDArray[np.float64]
# -> values_SNV, means_V
World = Callable[[np.random.Generator, Array, tuple[int, int, int]], tuple[Array, Array]]


def normal(
    rng: np.random.Generator, effects_V: Array, shape_SNV: tuple[int, int, int]
) -> tuple[Array, Array]:
    """Normal blocks, normal cells: where the t-test is exact."""
    return LEVEL + effects_V + _blocks(rng, shape_SNV) + CELL_SD * rng.standard_normal(
        shape_SNV
    ), LEVEL + effects_V


def skewed(
    rng: np.random.Generator, effects_V: Array, shape_SNV: tuple[int, int, int]
) -> tuple[Array, Array]:
    """Cells with a tail downwards (gamma of shape 2, skewness -1.4), alike for all variants."""
    tail_SNV = CELL_SD * (2 - rng.standard_gamma(2.0, shape_SNV)) / math.sqrt(2)
    return LEVEL + effects_V + _blocks(rng, shape_SNV) + tail_SNV, LEVEL + effects_V


def collapsed_blocks(
    rng: np.random.Generator, effects_V: Array, shape_SNV: tuple[int, int, int]
) -> tuple[Array, Array]:
    """In one block of ten every variant ends near chance: a bad teacher, say."""
    values_SNV, means_V = normal(rng, effects_V, shape_SNV)
    collapsed_SN1 = rng.random((*shape_SNV[:2], 1)) < BLOCKS_COLLAPSE
    near_chance_SNV = CHANCE + CELL_SD * rng.standard_normal(shape_SNV)
    return np.where(collapsed_SN1, near_chance_SNV, values_SNV), _mixed(means_V, BLOCKS_COLLAPSE)


def long_tails(
    rng: np.random.Generator, effects_V: Array, shape_SNV: tuple[int, int, int]
) -> tuple[Array, Array]:
    """Stress: long tails.

    Cells with a long tail downwards (exponential, skewness -2), alike for all variants.
    """
    tail_SNV = CELL_SD * (1 - rng.standard_exponential(shape_SNV))
    return LEVEL + effects_V + _blocks(rng, shape_SNV) + tail_SNV, LEVEL + effects_V


def collapsed_cells(
    rng: np.random.Generator, effects_V: Array, shape_SNV: tuple[int, int, int]
) -> tuple[Array, Array]:
    """Stress: one cell in twenty diverges and counts as chance, in every variant alike."""
    values_SNV, means_V = normal(rng, effects_V, shape_SNV)
    return np.where(rng.random(shape_SNV) < CELLS_COLLAPSE, CHANCE, values_SNV), _mixed(
        means_V, CELLS_COLLAPSE
    )


def unequal_tails(
    rng: np.random.Generator, effects_V: Array, shape_SNV: tuple[int, int, int]
) -> tuple[Array, Array]:
    """Stress: longer tails in the variants.

    As `long_tails`, but those of the variants are three times as long as the baseline's.
    """
    values_SNV, means_V = long_tails(rng, effects_V, shape_SNV)
    more_SNM = 2 * CELL_SD * (1 - rng.standard_exponential((*shape_SNV[:2], VARIANTS - 1)))
    values_SNV[..., :-1] += more_SNM
    return values_SNV, means_V


def unequal_collapse(
    rng: np.random.Generator, effects_V: Array, shape_SNV: tuple[int, int, int]
) -> tuple[Array, Array]:
    """Stress: one cell in twenty diverges in every variant, none in the baseline.

    Truly, all have a lower mean.
    """
    values_SNV, means_V = normal(rng, effects_V, shape_SNV)
    collapsed_SNV = rng.random(shape_SNV) < CELLS_COLLAPSE
    collapsed_SNV[..., -1] = False
    rate_V = np.where(np.arange(VARIANTS) < VARIANTS - 1, CELLS_COLLAPSE, 0.0)
    return np.where(collapsed_SNV, CHANCE, values_SNV), _mixed(means_V, rate_V)


WORLDS: tuple[World, ...] = (normal, skewed, collapsed_blocks)
# shown, nothing promised
STRESS: tuple[World, ...] = (long_tails, collapsed_cells, unequal_tails, unequal_collapse)


def _blocks(rng: np.random.Generator, shape_SNV: tuple[int, int, int]) -> Array:
    return BLOCK_SD * rng.standard_normal((*shape_SNV[:2], 1))


def _mixed(means_V: Array, rate: float | Array) -> Array:
    return np.asarray((1 - rate) * means_V + rate * CHANCE, dtype=float)
