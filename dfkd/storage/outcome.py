"""What became of a cell, as a value. It is apart from the ledger, whose reading takes PyTorch."""

from dataclasses import asdict, dataclass, field
from typing import Any

from dfkd.identity import Scalar

FINAL = ("finished", "diverged")
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

    def kept(self) -> dict[str, Any]:
        """Return what lasts, by name: all but `fresh`."""
        return {name: value for name, value in asdict(self).items() if name != "fresh"}

    @property
    def synthesis(self) -> float:
        """Return the device seconds that the synthesis of the cell's pool took, 0 for none.

        They count in full, as if no other cell had used the pool.
        """
        return float(self.tags.get(SYNTHESIS, 0))
