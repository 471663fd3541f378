"""Figures of a study: effects, curves, cost, classes; the same SVG from the same findings.

Colours are Okabe & Ito's, which colour-blind readers can tell apart; nothing is told by colour
alone. Matplotlib is used without global state.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import Colormap
from matplotlib.ticker import MaxNLocator

from dfkd.reporting.numbers import interval, percent, points
from dfkd.reporting.style import (
    ACCURACY,
    BLUE,
    CHANGE,
    COLOURS,
    FAINT,
    GREY,
    MARKERS,
    NUMBERED,
    ORANGE,
    Plot,
    blank,
    label_tile,
    styled,
    tell,
    title_panel,
)
from dfkd.stats.comparisons import BETTER, WORSE
from dfkd.stats.outcomes import by_block, differences_of, paired_with
from dfkd.studies.findings import Findings, dose
from dfkd.studies.per_class import by_class


def figures(findings: Findings) -> dict[str, Plot]:
    """Return the figures that these findings allow, by name."""
    with styled():
        drawn = {name: draw(findings) for name, draw in FIGURES.items()}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def effects(findings: Findings) -> Plot | None:
    """Draw a forest plot: each variant's difference to the baseline with its intervals."""
    shown = [c for c in findings.comparisons if c.n]
    if not shown:
        return None
    pairs = paired_with(by_block(findings.data.cells), findings.data.baseline)
    differences = {str(pair.columns[0]): differences_of(pair) for pair in pairs}
    figure = blank(0.9 + 0.42 * len(shown))
    axes = figure.subplots()
    axes.axvline(0, color=GREY, linewidth=1)
    for y, c in enumerate(shown):
        single = 100 * differences[c.variant]
        axes.plot(single, np.full(len(single), y + 0.3), "o", color=FAINT, markersize=3)
        colour = {BETTER: BLUE, WORSE: ORANGE}.get(c.verdict, GREY)
        if c.low is not None and c.high is not None:
            axes.plot(
                [100 * c.low, 100 * c.high],
                [y, y],
                color=colour,
                linewidth=3.2,
                solid_capstyle="butt",
            )
        if c.wide_low is not None and c.wide_high is not None:
            axes.plot([100 * c.wide_low, 100 * c.wide_high], [y, y], color=colour, linewidth=1)
        [mark] = axes.plot(
            100 * c.difference, y, "o", color=colour, markersize=6.5, markeredgecolor="white"
        )
        numbers = f"{points(c.difference)}  ({interval(c.low, c.high)})"
        tell(mark, f"{c.variant}: {numbers}  {c.verdict}, {c.n} blocks")
        axes.annotate(
            f"{numbers}  {c.in_words}",
            (1.02, y),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8,
            color=colour,
        )
    axes.set_yticks(range(len(shown)), [c.variant for c in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"difference to {findings.data.baseline}, points of {findings.data.measure}")
    return figure


def doses(findings: Findings) -> Plot | None:
    """Draw accuracy over the one number in which the variants differ, with intervals."""
    found = dose(findings.data)
    if found is None:
        return None
    table = findings.summary.assign(
        x=[found.values[v] for v in findings.summary["variant"]]
    ).sort_values("x")
    figure = blank(3.1)
    axes = figure.subplots()
    axes.fill_between(table["x"], *_band(table), color=BLUE, alpha=0.18, linewidth=0)
    axes.plot(table["x"], 100 * table["mean"], "-", color=BLUE)
    marks = axes.scatter(table["x"], 100 * table["mean"], color=BLUE, s=16)
    tell(
        marks,
        *(f"{x:g}: {percent(mean)} %" for x, mean in zip(table["x"], table["mean"], strict=True)),
    )
    base = found.values[findings.data.baseline]
    axes.axvline(base, color=GREY, linewidth=1, linestyle=":")
    axes.set_xlabel(f"{found.parameter} (dotted: the baseline)")
    axes.set_ylabel("test accuracy, %")
    return figure


def _band(table: pd.DataFrame) -> tuple[Any, Any]:
    """Return low and high in per cent; without an interval the band has no width."""
    mean = table["mean"].astype(float)
    return 100 * table["low"].astype(float).fillna(mean), 100 * table["high"].astype(float).fillna(
        mean
    )


def learning(findings: Findings) -> Plot | None:
    """Draw a panel per variant with mean and deviation over blocks, the baseline in grey."""
    curves, baseline = findings.data.curves, findings.data.baseline
    measure = next((name for name in ("validation", "probe") if curves[name].notna().any()), None)
    variants = [v for v in findings.data.params if (curves["variant"] == v).any()]
    others = [v for v in variants if v != baseline] or variants
    if measure is None:
        return None
    columns = 4 if len(others) in (4, 7, 8) else min(3, len(others))
    lines = math.ceil(len(others) / columns)
    figure = blank(0.5 + 1.9 * lines)
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).flatten()
    for panel, variant in zip(panels, others, strict=False):
        for name, colour in ((baseline, FAINT), (variant, BLUE)):
            _curve(panel, curves[curves["variant"] == name], measure, colour)
        title_panel(panel, variant, columns)
        panel.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    for i, panel in enumerate(panels):
        panel.set_visible(i < len(others))
        panel.tick_params(labelbottom=i + columns >= len(others))
    panels[0].set_ylim(top=min(100.5, panels[0].get_ylim()[1]))
    figure.supxlabel("step", fontsize=9)
    figure.supylabel(
        f"{measure} {'accuracy' if measure == 'validation' else 'agreement'}, %", fontsize=9
    )
    return figure


def _curve(axes: Any, curves: pd.DataFrame, measure: str, colour: str) -> None:
    steps = curves.groupby("step")[measure]
    mean, sd = 100 * steps.mean(), 100 * steps.std().fillna(0)
    axes.fill_between(mean.index, mean - sd, mean + sd, color=colour, alpha=0.22, linewidth=0)
    axes.plot(mean.index, mean, color=colour, linewidth=1.6)


def cost(findings: Findings) -> Plot | None:
    """Draw mean accuracy against the median seconds of a cell.

    Whiskers: the interval of the mean, and the quartiles of the seconds.
    """
    if findings.data.cells["seconds"].isna().all():
        return None
    summary = findings.summary[findings.summary["n"] > 0]
    figure = blank(3.1)
    axes = figure.subplots()
    for i, row in enumerate(summary.to_dict("records")):
        own = findings.data.cells["variant"] == row["variant"]
        low, middle, high = findings.data.cells.loc[own, "seconds"].quantile([0.25, 0.5, 0.75])
        drawn = axes.errorbar(
            middle,
            100 * row["mean"],
            xerr=[[middle - low], [high - middle]],
            yerr=None if pd.isna(row["low"]) else 100 * (row["high"] - row["mean"]),
            label=str(i),
            color=COLOURS[i % len(COLOURS)],
            marker=MARKERS[i % len(MARKERS)],
            markersize=6,
            linewidth=1,
        )
        tell(drawn[0], f"{row['variant']}: {percent(row['mean'])} %, {middle:.1f} s a cell")
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, -0.5), min(high, 100.5))  # an interval may reach beyond what there is
    axes.set_xlabel("seconds per cell, as measured where it ran")
    axes.set_ylabel("test accuracy, %")
    axes.set_xlim(left=0)
    legend = figure.legend(loc="outside right upper", fontsize=8)
    # set afterwards: a label that begins with "_" would be left out
    for text, name in zip(legend.get_texts(), summary["variant"], strict=True):
        text.set_text(name)
    return figure


def classes(findings: Findings) -> Plot | None:
    """Draw the baseline's accuracy on each class, below it each variant's difference to it."""
    found = by_class(findings.data)
    if found is None:
        return None
    shown = found.shown()
    means, changes = (
        100 * found.pivot("mean")[shown],
        100 * found.pivot("difference")[shown].drop(index=found.baseline),
    )
    figure = blank(1.3 + 0.3 * (1 + len(changes)))
    if changes.empty:
        return None
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=[1, len(changes)])
    lowest = min(50.0, float(means.loc[found.baseline].min()))
    _tiles(top, means.loc[[found.baseline]], ACCURACY, lowest, 100, "")
    edge = max(1.0, float(changes.abs().max().max()))
    bar = figure.colorbar(
        _tiles(below, changes, CHANGE, -edge, edge, "+"), ax=[top, below], aspect=30
    )
    bar.outline.set_visible(False)
    below.set_xlabel(
        "class of the test set" + (", the baseline's worst first" if found.which() else "")
    )
    bar.set_label("points", fontsize=8)
    return figure


def _tiles(
    axes: Any, table: pd.DataFrame, colours: Colormap, low: float, high: float, sign: str
) -> Any:
    """Draw a tile per entry with its number in it, as long as the numbers have room."""
    tiles = axes.pcolormesh(
        table, cmap=colours, vmin=low, vmax=high, edgecolors="white", linewidth=1
    )
    for y, x in np.ndindex(*table.shape) if table.shape[1] <= NUMBERED else ():
        value = float(table.iloc[y, x])
        dark = sum(colours(tiles.norm(value))[:3]) < 1.5
        text = "" if math.isnan(value) else format(round(value), sign if round(value) else "")
        label_tile(axes, y, x, text, dark, size=7)
    axes.set_yticks([y + 0.5 for y in range(len(table))], list(table.index))
    axes.set_xticks([x + 0.5 for x in range(table.shape[1])], [str(name) for name in table.columns])
    axes.tick_params(length=0, labelsize=8)
    axes.tick_params(axis="x", labelsize=8 if table.shape[1] <= NUMBERED else 6)
    axes.invert_yaxis()
    axes.spines[:].set_visible(False)
    return tiles


FIGURES: dict[str, Callable[[Findings], Plot | None]] = {
    "effects": effects,
    "dose": doses,
    "classes": classes,
    "learning": learning,
    "cost": cost,
}
