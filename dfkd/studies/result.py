"""What a study found, for the terminal, a notebook and MLflow."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dfkd.reporting.page import listed, paragraph, plain_table
from dfkd.reporting.style import Plot
from dfkd.stats.comparisons import Comparison, frame
from dfkd.studies import figures as plots
from dfkd.studies import tables
from dfkd.studies.findings import Findings


@dataclass(frozen=True, kw_only=True, repr=False)
class StudyResult:
    """What a study found: `outcomes`, `effects` and `summary` are pandas frames.

    page: the report. computed: cells of this call. elsewhere: cells that other commands computed
    meanwhile. stopped: why the call ended before all was computed, "" if it did not. A notebook
    shows the report's table, in points.
    """

    findings: Findings
    page: Path
    computed: int = 0
    elsewhere: int = 0
    stopped: str = ""

    def __repr__(self) -> str:
        return f"StudyResult({self.name}: {len(self.outcomes)} cells, {self.page})"

    def _repr_html_(self) -> str:
        notes = (self.findings.varies, self.findings.conditions, *self.findings.notes)
        result = plain_table(tables.HEADER, tables.rows(self.findings))
        lines = (tables.CAPTION, *notes, f"report: {self.page}")
        return paragraph(self.findings.data.question) + result + listed(lines)

    @property
    def name(self) -> str:
        return self.findings.data.name

    @property
    def outcomes(self) -> pd.DataFrame:
        """Return one row per cell.

        Columns: variant, block, state, value (test accuracy), seconds, cell, reused, all
        metrics.
        """
        return self.findings.data.cells

    @property
    def summary(self) -> pd.DataFrame:
        """Return one row per variant: cells, mean accuracy and its interval, as fractions."""
        return self.findings.summary

    @property
    def comparisons(self) -> list[Comparison]:
        """Return the comparison of each variant with the baseline."""
        return self.findings.comparisons

    @property
    def effects(self) -> pd.DataFrame:
        """Return one row per comparison with the baseline; numbers are fractions."""
        return frame(self.findings.comparisons)

    def figures(self) -> dict[str, Plot]:
        """Return the figures that these findings allow, by name."""
        return plots.figures(self.findings)


def typical_of_best(cells: pd.DataFrame) -> pd.Series | None:
    """Return the row of the finished cell that stands for a study, None where none finished.

    It is of the variant with the best mean, the one in its median block: the best block would
    be the luckiest one.
    """
    means = cells[cells["state"] != "errored"].groupby("variant", observed=True)["value"].mean()
    for variant in means.sort_values(ascending=False, kind="stable").index:
        rows = cells[(cells["variant"] == variant) & (cells["state"] == "finished")]
        if len(rows):
            return rows.sort_values("value", kind="stable").iloc[(len(rows) - 1) // 2]
    return None
