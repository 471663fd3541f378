"""Convergence as a figure: all variants on one axis, by steps, images and device seconds.

These are on log scales: a synthesis, or four times the steps, would press all else together.
"""

from typing import Any

from dfkd.reporting.style import COLOURS, FAINT, GREY, MARKERS, Plot, blank, log_x, styled
from dfkd.reproduction.convergence import X, followed, points
from dfkd.studies.findings import StudyData

WITHOUT = "without "  # how variants begin that lack a part: drawn faintly


def convergence(data: StudyData, label: str = "") -> Plot | None:
    """Draw the means over blocks; None where no cell has a curve. label: stands above it."""
    found = points(data)
    if found.empty:
        return None
    with styled():
        figure = blank(3.4)
        panels = figure.subplots(1, len(X), sharey=True)
        for panel, (x, words) in zip(panels, X.items(), strict=True):
            _draw(panel, found, data, x)
            log_x(panel, "{x:,.10g}", subs=(1,))
            panel.set_xlabel(words)
        panels[0].set_ylabel(f"{followed(data)}, %")
        if label:
            figure.suptitle(label, color=GREY, fontsize=10)
        handles = panels[0].get_lines()
        legend = figure.legend(
            handles,
            [str(i) for i in range(len(handles))],
            fontsize=7.5,
            ncols=5,
            loc="outside lower center",
        )
        # set afterwards: a label that begins with "_" would be left out
        names = [v for v in data.params if (found["variant"] == v).any()]
        for text, name in zip(legend.get_texts(), names, strict=True):
            text.set_text(name)
    return figure


def _draw(panel: Any, found: Any, data: StudyData, x: str) -> None:
    drawn = 0
    for variant in data.params:
        own = found[found["variant"] == variant]
        if own.empty:
            continue
        mean = own.groupby(own["step"].to_numpy())[[x, "value"]].mean()
        faint = variant.startswith(WITHOUT)
        panel.plot(
            mean[x],
            100 * mean["value"],
            color=FAINT if faint else COLOURS[drawn % len(COLOURS)],
            linestyle="--" if faint else "-",
            marker=MARKERS[drawn % len(MARKERS)],
            markersize=2.5,
            linewidth=1 if faint else 1.5,
        )
        drawn += 1
