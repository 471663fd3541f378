"""Numbers as text: accuracies, differences, intervals, p-values, shares, counts and labels."""

import math


def percent(value: float) -> str:
    """Return a fraction in per cent, "93.7"; "" for NaN."""
    return "" if math.isnan(value) else f"{100 * value:.1f}"


def points(value: float) -> str:
    """Return a difference of fractions in points with its sign, "+1.2"; "" for NaN."""
    return "" if math.isnan(value) else f"{100 * value:+z.1f}"


def interval(low: float | None, high: float | None) -> str:
    """Return an interval of a difference in points, "-0.3 to +2.1"; "no interval" for none."""
    if low is None or high is None:
        return "no interval"
    return f"{points(low)} to {points(high)}"


def p(value: float | None) -> str:
    """Return a p-value, "0.031" or "< .001"; "none" where there is none."""
    if value is None:
        return "none"
    return f"{value:.3f}" if value >= 0.001 else "< .001"


def share_text(value: float) -> str:
    """Return a share in per cent with one digit below ten, so that 0.4 % is not 0."""
    return f"{100 * value:.1f}" if value < 0.1 else f"{100 * value:.0f}"


def ratio_text(ratio: float) -> str:
    """Return a ratio in three digits, "0.015"."""
    return f"{ratio:.3g}"


def short_number(value: float) -> str:
    """Return a number in four digits or as many as it has before the point: "0.0152", "30000"."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def counted(count: int, noun: str) -> str:
    """Return "1 row" or "2,000 rows"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def ranges(labels: list[int]) -> str:
    """Return labels as "0 to 4, 6, 8, 9"; of very many the first few."""
    runs: list[list[int]] = []
    for label in labels:
        if runs and label == runs[-1][-1] + 1:
            runs[-1].append(label)
        else:
            runs.append([label])
    said = [f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    return ", ".join(said) if len(said) <= 12 else f"{', '.join(said[:12])} and others"
