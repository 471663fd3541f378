"""Numbers as text: accuracies in per cent, differences in points, intervals and p-values."""

from __future__ import annotations

import math


def percent(value: float) -> str:
    return "" if math.isnan(value) else f"{100 * value:.1f}"


def points(value: float) -> str:
    return "" if math.isnan(value) else f"{100 * value:+.1f}"


def interval(low: float | None, high: float | None) -> str:
    return "none" if low is None or high is None else f"{100 * low:+.1f} to {100 * high:+.1f}"


def p(value: float | None) -> str:
    if value is None:
        return "none"
    return f"{value:.3f}" if value >= 0.001 else "< .001"
