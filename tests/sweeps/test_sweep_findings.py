"""What a sweep's confirmation says in words."""

import pytest

from dfkd.stats.paired import smallest_detectable
from dfkd.sweeps.findings import Confirmation, verdict


def confirmed(*differences: float) -> list[str]:
    default = (0.90, 0.92, 0.91, 0.93)
    winner = tuple(one + other for one, other in zip(default, differences, strict=True))
    return verdict(
        Confirmation(winner={"selection.ratio": 0.1}, winner_test=winner, default_test=default)
    )


def test_what_is_undecided_says_what_could_have_been_seen() -> None:
    """By hand: the standard deviation of these differences is 1.732 points."""
    lines = confirmed(0.02, -0.02, 0.01, 0.01)
    [told] = [line for line in lines if line.startswith("undecided: ")]
    seen = smallest_detectable(4, 0.0173205)
    assert told.startswith(f"undecided: 4 blocks that differ as these do show {100 * seen:.1f} poi")
    assert told.endswith("16 blocks show half of that (--blocks)")


@pytest.mark.parametrize("differences", [(0.05, 0.06, 0.05, 0.06), (0.0, 0.0, 0.0, 0.0)])
def test_what_is_decided_or_without_spread_does_not(differences: tuple[float, ...]) -> None:
    assert not [line for line in confirmed(*differences) if line.startswith("undecided: ")]
