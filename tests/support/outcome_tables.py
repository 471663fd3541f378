"""Outcomes of made studies, as the analyses take them."""

import numpy as np
import pandas as pd

from dfkd.stats.comparisons import Comparison


def outcomes(columns: dict[str, list[float]]) -> pd.DataFrame:
    """Return finished cells: one for each value of each variant, in blocks 1, 2, ..."""
    rows = [
        {"variant": name, "block": block, "state": "finished", "value": value}
        for name, values in columns.items()
        for block, value in enumerate(values, start=1)
    ]
    return pd.DataFrame(rows, columns=["variant", "block", "state", "value"])


def random_study(
    blocks: int, effects: tuple[float, ...] = (0.02, 0.0, -0.01), seed: int = 0
) -> pd.DataFrame:
    """Return a base at .8 and variants v0, v1, ... with these effects, all with normal noise."""
    rng = np.random.default_rng(seed)
    block_N = 0.8 + 0.03 * rng.standard_normal(blocks)
    names = ["base", *(f"v{i}" for i in range(len(effects)))]
    return outcomes(
        {
            name: list(block_N + effect + 0.01 * rng.standard_normal(blocks))
            for name, effect in zip(names, (0.0, *effects), strict=True)
        }
    )


def by_variant(comparisons: list[Comparison]) -> dict[str, Comparison]:
    """Return the comparisons by the names of their variants."""
    return {comparison.variant: comparison for comparison in comparisons}
