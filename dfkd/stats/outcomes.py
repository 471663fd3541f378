"""Outcomes: the table of a study's cells that every analysis begins with.

One row a cell, with the columns `variant`, `block`, `state` (one of STATES) and `value`, the test
accuracy as a fraction. The value of an errored cell is not read.
"""

import numpy as np
import pandas as pd

from dfkd.stats.paired import Floats

STATES = ("finished", "diverged", "errored")


def by_block(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Return accuracies, blocks down and variants across, NaN where a cell is missing or errored.

    Rows are sorted by block, columns by name or, for a categorical `variant`, by category: never by
    the order of the rows. Raises ValueError for missing columns, unknown states, a cell given
    twice, and values outside [0, 1].
    """
    _check(outcomes)
    usable = outcomes[outcomes["state"] != "errored"]
    values = usable.pivot(index="block", columns="variant", values="value").astype(float)
    return values.reindex(index=sorted(set(outcomes["block"])), columns=_variant_names(outcomes))


def paired_with(values: pd.DataFrame, baseline: str) -> list[pd.DataFrame]:
    """Return for each other variant the columns (variant, baseline) over the blocks of both.

    values: a table of `by_block`. Raises ValueError where it has no such baseline.
    """
    if baseline not in values.columns:
        raise ValueError(f"the baseline must be one of {list(values.columns)}, but got {baseline=}")
    return [values[[name, baseline]].dropna() for name in values.columns if name != baseline]


def differences_of(pair: pd.DataFrame) -> Floats:
    """Return the first of two columns less the second, one difference a block."""
    return np.asarray(pair.iloc[:, 0] - pair.iloc[:, 1], dtype=float)


def cell_note(outcomes: pd.DataFrame, variant: str, baseline: str) -> str:
    """Say how many cells of a comparison diverged and errored; "" where none did."""
    count = {
        name: outcomes.loc[outcomes["variant"] == name, "state"].value_counts()
        for name in (variant, baseline)
    }
    parts = []
    for state, means in (("diverged", "counted as chance"), ("errored", "left out")):
        of_variant, of_baseline = (int(count[name].get(state, 0)) for name in (variant, baseline))
        if of_variant or of_baseline:
            parts.append(
                f"{state}, {means}: {of_variant} of the variant, {of_baseline} of the baseline"
            )
    return "; ".join(parts)


def _variant_names(outcomes: pd.DataFrame) -> list[str]:
    present = set(outcomes["variant"])
    if isinstance(outcomes["variant"].dtype, pd.CategoricalDtype):
        return [name for name in outcomes["variant"].cat.categories if name in present]
    return sorted(present)


def _check(outcomes: pd.DataFrame) -> None:
    missing = {"variant", "block", "state", "value"} - set(outcomes.columns)
    if missing:
        raise ValueError(
            "outcomes need the columns variant, block, state, value, but got none for "
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
