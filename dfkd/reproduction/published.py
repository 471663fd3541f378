"""Published numbers, each with its source: published.csv beside this file.

Of EIKD, the paper that is followed, there is none: its cells are empty.
"""

import csv
import io
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, kw_only=True)
class Published:
    """A published accuracy in per cent, None where it is not known to us.

    row: the row of ours that it stands beside, "" for none. cost: as published, "" for none.
    """

    table: str
    column: str
    method: str
    row: str
    accuracy: float | None
    cost: str
    source: str

    @property
    def shown(self) -> str:
        """Return the accuracy and its cost as text."""
        known = "not available" if self.accuracy is None else f"{self.accuracy:.2f}"
        return f"{known} ({self.cost})" if self.cost else known


def published(table: str, column: str) -> list[Published]:
    """Return the published numbers of a column, in the order of the file."""
    return [one for one in _all() if (one.table, one.column) == (table, column)]


def _all() -> list[Published]:
    text = files("dfkd.reproduction").joinpath("published.csv").read_text(encoding="utf-8")
    return [_of(line) for line in csv.DictReader(io.StringIO(text))]


def _of(line: dict[str, str]) -> Published:
    accuracy = float(line["accuracy"]) if line["accuracy"] else None
    others = {name: value for name, value in line.items() if name != "accuracy"}
    return Published(accuracy=accuracy, **others)
