"""One style for all figures: Matplotlib without global state, the same SVG from the same numbers.

Colours are Okabe & Ito's, which colour-blind readers can tell apart; nothing is told by colour
alone.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from matplotlib import style
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from dfkd.reporting.fonts import families

BLUE, ORANGE, GREY, FAINT = "#0072b2", "#d55e00", "#595959", "#b5b5b5"
COLOURS = (BLUE, "#e69f00", "#009e73", "#cc79a7", "#56b4e9", ORANGE, "#f0e442", "#000000")
MARKERS = "osD^vP*X"
# worse, none, better
CHANGE = LinearSegmentedColormap.from_list("change", (ORANGE, "#ffffff", BLUE))
ACCURACY = LinearSegmentedColormap.from_list("accuracy", (GREY, "#f4f4f4"))
STYLE: dict[str, Any] = {
    "svg.hashsalt": "dfkd",  # otherwise ids are random
    "svg.fonttype": "path",  # looks the same where the font is not installed
    "text.parse_math": False,  # a "$" in the name of a variant is a "$"
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "legend.frameon": False,
}
WIDTH = 8.2  # inches: the page's text width
NUMBERED = 24  # columns of tiles that have room for numbers


class Plot(Figure):
    """A figure that a notebook shows by itself."""

    def _repr_svg_(self) -> str:
        return svg(self)


def svg(figure: Figure) -> str:
    """Return the figure as an SVG element, such that several fit into one page.

    Without XML header, date, version and the ids of groups.
    """
    text = io.StringIO()
    with styled(), warnings.catch_warnings():
        # one for each sign and drawing; `fonts.note_of_missing` says it once
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    element = text.getvalue()
    element = element[element.index("<svg") :]
    return re.sub(r'<g id="[^"]*"', "<g", element)


@contextmanager
def styled() -> Iterator[None]:
    """Draw with our style inside, whatever the user's own is."""
    with style.context({**STYLE, "font.family": families()}, after_reset=True):
        yield


def blank(height: float) -> Plot:
    """Return an empty figure of the page's width. height: in inches."""
    return Plot(figsize=(WIDTH, height), layout="constrained")


def label_tile(axes: Any, y: int, x: int, text: str, dark: bool, size: float) -> None:
    """Write a text into the middle of a tile of `pcolormesh`, white on a dark one."""
    colour = "white" if dark else "black"
    axes.text(x + 0.5, y + 0.5, text, ha="center", va="center", fontsize=size, color=colour)
