"""Accuracy on each class of the test set: means over blocks, and differences to the baseline.

V variants, C classes. Cells that were computed before classes were recorded are left out.
"""

from dataclasses import dataclass

import pandas as pd

from dfkd.stats.paired import paired_interval
from dfkd.studies.findings import PER_CLASS, StudyData

# classes that a figure or a printed table can hold; of more, so many worst and so many best are
# shown
AT_ONCE = 20


@dataclass(frozen=True, kw_only=True)
class Classes:
    """Accuracies per class, as fractions.

    table: a row per variant and class with n (blocks shared with the baseline), mean,
    difference, low and high. The baseline's own rows have no difference. baseline: that
    variant's name.
    """

    table: pd.DataFrame
    baseline: str

    def pivot(self, column: str) -> pd.DataFrame:
        """Return one column of the table as [V, C], in the order of variants and class numbers."""
        order = list(dict.fromkeys(self.table["variant"]))
        return (
            self.table.pivot(index="variant", columns="class", values=column)
            .loc[order]
            .sort_index(axis=1)
        )

    def shown(self) -> list[int]:
        """Return the classes that a figure holds: all, or the baseline's worst and best of many."""
        by_accuracy = self.pivot("mean").loc[self.baseline].sort_values(kind="stable")
        if len(by_accuracy) <= 2 * AT_ONCE:
            return sorted(by_accuracy.index)
        return [*by_accuracy.index[:AT_ONCE], *by_accuracy.index[-AT_ONCE:]]

    def which(self) -> str:
        """Return in words what `shown` has left out, "" where it shows all."""
        count = self.table["class"].nunique()
        if count <= 2 * AT_ONCE:
            return ""
        return (
            f"Of {count} classes: the {AT_ONCE} on which the baseline is worst, then the {AT_ONCE} "
            "where it is best."
        )


def by_class(data: StudyData) -> Classes | None:
    """Return accuracies per class, or None where no cell of the baseline recorded them.

    A diverged cell counts as chance in every class.
    """
    cells = data.cells[data.cells["state"] != "errored"]
    names = sorted(cells.filter(like=PER_CLASS).columns, key=_number)
    recorded = cells[names].notna().any(axis=1) if names else pd.Series(False, index=cells.index)
    if not (recorded & (cells["variant"] == data.baseline)).any():
        return None
    kept = cells[recorded | (cells["state"] == "diverged")].copy()
    for name in names:
        kept[name] = kept[name].where(
            (kept["state"] != "diverged") | kept[name].notna(), kept["value"]
        )
    values = {
        str(v): rows.set_index("block")[names]
        for v, rows in kept.groupby("variant", observed=True, sort=True)
    }
    base = values[data.baseline]
    rows = [
        _row(v, name, of_v[name], base[name], v == data.baseline)
        for v, of_v in values.items()
        for name in names
    ]
    return Classes(table=pd.DataFrame(rows), baseline=data.baseline)


def _row(
    variant: str, name: str, own: pd.Series, base: pd.Series, is_base: bool
) -> dict[str, object]:
    row: dict[str, object] = {
        "variant": variant,
        "class": _number(name),
        "n": int(own.count()),
        "mean": own.mean(),
    }
    difference = (own - base).dropna()
    if is_base or difference.empty:
        return row | {"difference": float("nan"), "low": float("nan"), "high": float("nan")}
    interval = paired_interval(difference.to_numpy(dtype=float))
    return row | {
        "n": len(difference),
        "difference": interval.mean,
        "low": interval.low,
        "high": interval.high,
    }


def _number(name: str) -> int:
    return int(name.removeprefix(PER_CLASS))
