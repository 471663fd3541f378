"""What became of a cell, as a value. It is apart from the ledger, whose reading takes PyTorch."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Self

from dfkd.identity import Scalar

FINAL = ("finished", "diverged")
ENDED = "ended"  # the tag that says when a cell was recorded, in UTC; older records have none
SYNTHESIS = "synthesis_seconds"  # the tag of a cell whose pool was synthesised from the teacher


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A cell that ended, as a row.

    metrics: of the last evaluation; "test" and "test.class.<k>" are added by `write_test`. fresh:
    computed for whoever has it, not told from the ledger, which does not keep it.
    """

    cell: str  # key and environment: the folder's name
    # "finished", "diverged" (kept; metrics are those of chance) or "pruned" (stopped by a search)
    state: str
    step: int
    metrics: dict[str, float]
    params: dict[str, Scalar]
    block: dict[str, int]
    tags: dict[str, str]  # teacher and pool digest, git commit
    environment: dict[str, Any]
    seconds: float
    points: list[dict[str, float]] = field(default_factory=list, repr=False)  # the curve
    fresh: bool = field(default=False, repr=False, compare=False)

    @property
    def final(self) -> bool:
        """Return whether the cell is done for good: finished, or diverged."""
        return self.state in FINAL

    def dated(self) -> Self:
        """Return the outcome with the time at which it is recorded: now."""
        return replace(self, tags={**self.tags, ENDED: now()})

    def kept(self) -> dict[str, Any]:
        """Return what lasts, by name: all but `fresh`."""
        return {name: value for name, value in asdict(self).items() if name != "fresh"}

    @property
    def synthesis(self) -> float:
        """Return the device seconds that the synthesis of the cell's pool took, 0 for none.

        They count in full, as if no other cell had used the pool.
        """
        return float(self.tags.get(SYNTHESIS, 0))


def now() -> str:
    """Return the time as records say it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def period(times: Iterable[str | None]) -> str:
    """Return from when to when something was recorded, to the minute; "" where none is known."""
    known = sorted(time[:16].replace("T", " ") for time in times if time)
    return " to ".join(dict.fromkeys((known[0], known[-1]))) + " UTC" if known else ""
