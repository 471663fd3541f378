"""Measures: by which number of a point of the curve a search judges a student, without labels."""

from collections.abc import Mapping

AGREEMENT, SOFT = "probe", "probe.soft"  # what they are: see `probe.py`


def judged(point: Mapping[str, float], measure: str) -> float:
    """Return what a point of a curve is worth. ValueError where its record is too old for it."""
    if measure not in point:
        raise ValueError(
            f"this cell was computed before {measure} was recorded: choose another --storage, or "
            "--probe agreement"
        )
    return point[measure]
