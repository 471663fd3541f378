"""Draws what `make bench ARGS=scaling` has measured: cost against size, on logarithmic axes.

python -m benchmarks.scaling_figure benchmarks/results/MACHINE.json docs/results/scaling.svg
"""

import sys
from pathlib import Path

from matplotlib.axes import Axes

from benchmarks.measuring.report import Results
from benchmarks.side_by_side.scaling import COSTS
from dfkd.reporting.style import BLUE, GREY, blank, styled, svg


def figure(results: Results) -> str:
    """Return the figure as SVG: a panel for each of what doubles; dashed: in proportion to it."""
    figures = results.records["scaling"].figures
    with styled():
        plot = blank(2.4)
        panels = plot.subplots(1, len(COSTS))
        for axes, name in zip(panels, COSTS, strict=True):
            found = [one for one in figures if one.name.startswith(f"{name} ")]
            sizes = [int(one.name.removeprefix(f"{name} ").replace(",", "")) for one in found]
            _draw(axes, name, sizes, [one.median for one in found])
        panels[0].set_ylabel("processor seconds")
    return svg(plot)


def _draw(axes: Axes, name: str, sizes: list[int], seconds: list[float]) -> None:
    axes.loglog(sizes, seconds, marker="o", color=BLUE)
    proportional = [seconds[-1] * size / sizes[-1] for size in sizes]
    axes.loglog(sizes, proportional, linestyle="--", linewidth=0.8, color=GREY)
    axes.minorticks_off()
    axes.set_xticks([sizes[0], sizes[-1]], [f"{size:,}" for size in (sizes[0], sizes[-1])])
    costs = [min(seconds), max(seconds)]
    axes.set_yticks(costs, [f"{cost:.2g}" for cost in costs])
    axes.set_title(name)


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    target.write_text(figure(Results.read(source)) + "\n")
