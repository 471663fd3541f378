"""What a study found, for the terminal, a notebook and MLflow."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from dfkd.reporting.style import Plot
from dfkd.stats.comparisons import Comparison, frame
from dfkd.studies import figures as plots
from dfkd.studies.findings import Findings


@dataclass(frozen=True, kw_only=True)
class StudyResult:
    """What a study found. In a notebook: `outcomes`, `effects` and `summary` are frames,
    `figures()` are figures.
    """

    findings: Findings
    computed: int = 0  # cells of this call
    stopped: str = ""  # why it ended before all was computed

    @property
    def name(self) -> str:
        return self.findings.data.name

    @property
    def outcomes(self) -> pd.DataFrame:
        """One row per cell: variant, block, state, value (test accuracy), seconds, cell, reused and
        all metrics.
        """
        return self.findings.data.cells

    @property
    def summary(self) -> pd.DataFrame:
        """One row per variant."""
        return self.findings.summary

    @property
    def comparisons(self) -> list[Comparison]:
        return self.findings.comparisons

    @property
    def effects(self) -> pd.DataFrame:
        """One row per comparison with the baseline."""
        return frame(self.findings.comparisons)

    def figures(self) -> dict[str, Plot]:
        return plots.figures(self.findings)


def typical_of_best(cells: pd.DataFrame) -> pd.Series | None:
    """The finished cell that stands for a study: of the variant with the best mean, the one in its
    median block.

    Its best block would be the luckiest one. None where nothing finished.
    """
    means = cells[cells["state"] != "errored"].groupby("variant", observed=True)["value"].mean()
    for variant in means.sort_values(ascending=False, kind="stable").index:
        rows = cells[(cells["variant"] == variant) & (cells["state"] == "finished")]
        if len(rows):
            return rows.sort_values("value", kind="stable").iloc[(len(rows) - 1) // 2]
    return None
