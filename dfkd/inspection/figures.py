"""Figures of an inspection: confidence, supply of each class, what each rule takes of it."""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from dfkd.inspection.fitness import BINS, CONFIDENT, COVERED, Fitness
from dfkd.reporting.style import BLUE, FAINT, NUMBERED, ORANGE, Plot, blank, label_tile, styled

NAMED = 40  # classes that have room for their names
SHARE = LinearSegmentedColormap.from_list("share", (ORANGE, "#f7d9c4", "#ffffff", "#cfe3f0", BLUE))


def figures(fitness: Fitness) -> dict[str, Plot]:
    """Draw all figures; returns them by name."""
    with styled():
        return {name: draw(fitness) for name, draw in FIGURES.items()}


def supply(fitness: Fitness) -> Plot:
    """Draw each class's rows, sure rows and taken rows over its fair share, on a log scale."""
    figure = blank(3.2)
    axes = figure.subplots()
    many = len(fitness.classes) > NAMED
    classes = sorted(fitness.classes, key=lambda c: c.confident) if many else list(fitness.classes)
    x = np.arange(len(classes))
    of = {"rows": [c.rows for c in classes], "sure": [c.confident for c in classes]}
    of["taken"] = [c.taken for c in classes]
    style = {
        "rows": (FAINT, "o", "rows in the pool"),
        "sure": (BLUE, "o", f"sure: confidence {CONFIDENT} or more"),
        "taken": ("black", "_", "taken by the recipe"),
    }
    if not many:
        axes.vlines(x, 0.5, [max(v, 0.5) for v in of["rows"]], color="#e8e8e8", linewidth=7)
    for name, (colour, marker, label) in style.items():
        size = 2.5 if many else 11 if marker == "_" else 6.5
        axes.plot(
            x,
            np.maximum(of[name], 0.5),
            marker,
            color=colour,
            markersize=size,
            label=label,
            markeredgewidth=2 if marker == "_" else 0,
        )
    axes.axhline(
        fitness.fair, color=ORANGE, linewidth=1.2, label="fair share of the budget", zorder=1.5
    )
    _counts(axes, [fitness.fair, *of["rows"]])
    axes.set_xlim(-0.6, len(classes) - 0.4)
    if many:
        axes.set_xlabel("classes, those with the fewest sure rows first")
    else:
        axes.set_xticks(
            x, [str(c.label) for c in classes], fontsize=9 if len(classes) <= NUMBERED else 6
        )
        for tick, c in zip(axes.get_xticklabels(), classes, strict=True):
            tick.set_color("black" if fitness.state(c) == COVERED else ORANGE)
            tick.set_fontweight("normal" if fitness.state(c) == COVERED else "bold")
        axes.set_xlabel("pseudo-class (bold: short of rows)")
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("rows")
    figure.legend(
        loc="outside upper left", ncols=4, fontsize=8, columnspacing=1.4, handletextpad=0.4
    )
    return figure


def _counts(axes: Any, values: list[float]) -> None:
    """Set a log scale of whole numbers whose lowest tick stands for none."""
    top = 10 ** np.ceil(np.log10(max(*values, 10)))
    axes.set_yscale("log")
    axes.set_ylim(0.4, top)
    axes.yaxis.set_major_locator(
        FixedLocator([0.5, *(10**i for i in range(int(np.log10(top)) + 1))])
    )
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: "0" if value < 1 else f"{value:,.0f}")
    )


def confidence(fitness: Fitness) -> Plot:
    """Draw the confidence of the pool as bars and that on validation images as a line.

    Both in per cent of their rows.
    """
    figure = blank(2.6)
    axes = figure.subplots()
    edges = np.linspace(0, 1, BINS + 1)
    pool = 100 * np.array(fitness.histogram) / max(sum(fitness.histogram), 1)
    sure = edges[:-1] >= CONFIDENT - 1e-9
    axes.bar(
        edges[:-1],
        pool,
        width=1 / BINS,
        align="edge",
        color=np.where(sure, BLUE, FAINT),
        edgecolor="white",
    )
    own = np.array(fitness.profile.histogram)
    axes.set_ylim(0, 1.3 * pool.max())
    if own.sum():
        own = 100 * own / own.sum()
        cut = (
            f" (the highest part, {own.max():.0f} %, is cut off)"
            if own.max() > 1.3 * pool.max()
            else ""
        )
        axes.stairs(own, edges, color="black", linewidth=1.2, label=f"validation images{cut}")
        axes.legend(loc="upper left", fontsize=8)
    axes.axvline(fitness.own.lowest, color=ORANGE, linewidth=1.2)
    right = fitness.own.lowest > 0.5
    axes.annotate(
        f"lowest taken: {fitness.own.lowest:.2f}",
        (fitness.own.lowest, 0.8),
        xycoords=("data", "axes fraction"),
        xytext=(-5 if right else 5, 0),
        textcoords="offset points",
        ha="right" if right else "left",
        va="top",
        fontsize=8,
        color=ORANGE,
    )
    axes.set_xlim(0, 1)
    axes.set_xlabel(f"the teacher's confidence (blue: {CONFIDENT} or more)")
    axes.set_ylabel("rows, %")
    return figure


def taken(fitness: Fitness) -> Plot:
    """Draw a tile for each rule and class: what it takes, in per cent of the fair share.

    All at the recipe's budget.
    """
    choices = fitness.at_own_budget()
    order = [c.label for c in sorted(fitness.classes, key=lambda c: c.confident)]
    labels = order if len(order) > NUMBERED else sorted(order)
    shares = np.array(
        [[100 * c.counts[k] / fitness.fair for k in labels] for c in choices.values()]
    )
    figure = blank(1.0 + 0.29 * len(choices))
    axes = figure.subplots()
    # a logarithm: half and twice the share are equally far from it
    tones = np.log2(np.clip(shares, 12.5, 800) / 100)
    tiles = axes.pcolormesh(
        tones,
        cmap=SHARE,
        vmin=-3,
        vmax=3,
        edgecolors="white",
        linewidth=1 if len(labels) <= NUMBERED else 0,
    )
    for y, x in np.ndindex(*shares.shape) if len(labels) <= NUMBERED else ():
        label_tile(axes, y, x, f"{shares[y, x]:.0f}", abs(tones[y, x]) > 2.4, size=7.5)
    names = [f"{rule} (recipe)" if rule == fitness.rule else rule for rule in choices]
    axes.set_yticks(np.arange(len(choices)) + 0.5, names)
    axes.invert_yaxis()
    axes.set_xlabel("pseudo-class")
    if len(labels) <= NUMBERED:
        axes.set_xticks(np.arange(len(labels)) + 0.5, [str(k) for k in labels])
    else:
        axes.set_xticks([])
        axes.set_xlabel("pseudo-classes, those with the fewest sure rows first")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(tiles, ax=axes, aspect=14, ticks=[-3, -1, 0, 1, 3])
    bar.ax.set_yticklabels(["1/8 or less", "1/2", "fair share", "2x", "8x or more"], fontsize=7.5)
    bar.outline.set_visible(False)
    return figure


FIGURES: dict[str, Callable[[Fitness], Plot]] = {
    "supply": supply,
    "confidence": confidence,
    "taken": taken,
}
