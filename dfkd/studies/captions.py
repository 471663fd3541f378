"""What to conclude from each figure of a study, made from its numbers, and how to read it."""

from collections.abc import Callable

from dfkd.reporting.numbers import counted, interval, percent, points
from dfkd.stats.comparisons import BETTER, WORSE, Comparison
from dfkd.studies.findings import Findings, dose
from dfkd.studies.per_class import by_class

READING = {
    "effects": "Paired by block. Thick: the 95 % interval of one comparison; thin: the interval "
    "that holds for all comparisons at once (Bonferroni); small dots: the blocks. Blue: better, "
    "orange: worse after Holm's correction, grey: neither.",
    "dose": "Mean test accuracy and its 95 % interval over blocks. The intervals hold the spread "
    "between blocks that the paired differences do not.",
    "learning": "Mean and one standard deviation over blocks; grey in every panel: the baseline.",
    "cost": "Mean test accuracy with its 95 % interval, against the median seconds of a cell "
    "with its quartiles; the synthesis of its images, where they are synthesised, counts in full.",
    "classes": "Means over blocks, differences paired by block. Nothing is tested here: one "
    "class has a fraction of the test images, and many classes give large differences by chance.",
}


def conclusion(name: str, findings: Findings) -> str:
    """Return what the figure of this name shows, in a sentence; "" where it shows itself."""
    return CONCLUSIONS[name](findings) if name in CONCLUSIONS else ""


def effects(findings: Findings) -> str:
    """Return how many variants differ from the baseline, and the largest difference."""
    shown = [c for c in findings.comparisons if c.n]
    decided = [c for c in shown if c.verdict in (BETTER, WORSE)]
    if not decided:
        return f"None of {counted(len(shown), 'variant')} can be told from the baseline." + _widest(
            shown
        )
    largest = max(decided, key=lambda c: abs(c.difference))
    many = f"{len(decided)} of {counted(len(shown), 'variant')}"
    return (
        f"{many} can be told from the baseline, the largest difference is that of "
        f"{largest.variant}: {points(largest.difference)} points "
        f"({interval(largest.low, largest.high)})."
    )


def _widest(shown: list[Comparison]) -> str:
    """Return how large a difference may still be there, "" where no interval is known."""
    edges = [
        max(abs(c.low), abs(c.high)) for c in shown if c.low is not None and c.high is not None
    ]
    return f" Differences of up to {100 * max(edges):.1f} points remain possible." if edges else ""


def doses(findings: Findings) -> str:
    """Return where over the parameter the highest mean lies, and what that is worth."""
    found = dose(findings.data)
    assert found is not None  # the figure is drawn of it
    table = findings.summary[findings.summary["n"] > 0].set_index("variant")
    best = str(table["mean"].idxmax())
    base = findings.data.baseline
    mean = f"The highest mean, {percent(table['mean'][best])} %, lies at {found.values[best]:g}"
    if best == base:
        return f"{mean}, the baseline itself."
    verdict = next((c.in_words for c in findings.comparisons if c.variant == best), "")
    return f"{mean}; against the baseline's {found.values[base]:g} that is {verdict}."


def cost(findings: Findings) -> str:
    """Return the most accurate and the cheapest variant with their numbers."""
    table = findings.summary[findings.summary["n"] > 0].set_index("variant")
    cells = findings.data.cells
    seconds = {v: cells.loc[cells["variant"] == v, "seconds"].median() for v in table.index}
    best, cheapest = str(table["mean"].idxmax()), min(seconds, key=seconds.__getitem__)
    said = {
        v: f"{v} ({percent(table['mean'][v])} %, {seconds[v]:.1f} s a cell)"
        for v in (best, cheapest)
    }
    if best == cheapest:
        return f"The highest mean is also the cheapest: {said[best]}."
    return f"Highest mean: {said[best]}. Cheapest: {said[cheapest]}."


def classes(findings: Findings) -> str:
    """Return the baseline's weakest class, and the largest loss of a variant on a class."""
    found = by_class(findings.data)
    assert found is not None  # the figure is drawn of it
    changed = found.table.dropna(subset=["difference"])
    base = found.pivot("mean").loc[found.baseline]
    start = f"{found.baseline} is weakest on class {base.idxmin()} ({percent(base.min())} %)"
    if changed.empty:
        return f"{start}. {found.which()}"
    low = changed.loc[changed["difference"].idxmin()]
    lost = (
        ""
        if low["difference"] >= 0
        else (
            f"; the largest loss is that of {low['variant']} on class {low['class']}: "
            f"{points(low['difference'])} points"
        )
    )
    return f"{start}{lost}. {found.which()}".strip()


CONCLUSIONS: dict[str, Callable[[Findings], str]] = {
    "effects": effects,
    "dose": doses,
    "cost": cost,
    "classes": classes,
}
