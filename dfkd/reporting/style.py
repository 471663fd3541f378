"""One style for all figures: Matplotlib without global state, the same SVG from the same numbers.

Colours are Okabe & Ito's, which colour-blind readers can tell apart; nothing is told by colour
alone.
"""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from html import escape
from textwrap import wrap
from typing import Any
from urllib.parse import quote, unquote

from matplotlib import style
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from dfkd.reporting.fonts import OWN, families

BLUE, ORANGE, GREY, FAINT = "#0072b2", "#d55e00", "#595959", "#b5b5b5"
COLOURS = (BLUE, "#e69f00", "#009e73", "#cc79a7", "#56b4e9", ORANGE, "#f0e442", "#000000")
MARKERS = "osD^vP*X"
# worse, none, better
CHANGE = LinearSegmentedColormap.from_list("change", (ORANGE, "#ffffff", BLUE))
ACCURACY = LinearSegmentedColormap.from_list("accuracy", (GREY, "#f4f4f4"))
STYLE: dict[str, Any] = {
    "svg.hashsalt": "dfkd",  # otherwise ids are random
    "svg.fonttype": "none",  # text that can be selected, found and read aloud
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
TIP = "tip:"  # how the id of a thing begins that says something
MARK = re.compile(r"<use ([^>]*[^>/])/>")
OWN_FONT = re.compile(rf"""(<text [^>]*?)'{OWN}'[^;"]*""")
# text is laid out in our own font. Where it is lacking, it is one as wide, or a narrower one:
# nothing reaches over an edge. The same on every machine, whatever fonts it has.
SHOWN_FONT = f"'{OWN}', Verdana, Arial, sans-serif"
NUMBERED = 24  # columns of tiles that have room for numbers
LINE = 108  # signs of a title over the whole width


class Plot(Figure):
    """A figure that a notebook shows by itself."""

    def _repr_svg_(self) -> str:
        return svg(self)


def svg(figure: Figure) -> str:
    """Return the figure as an SVG element, such that several fit into one page.

    Without XML header, date, version and the ids of groups. Spaces stay as they are.
    """
    text = io.StringIO()
    with styled(), warnings.catch_warnings():
        # the viewer's fonts may have what this machine's lack
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    element = text.getvalue()
    element = element[element.index("<svg") :].replace("<svg", '<svg xml:space="preserve"', 1)
    element = OWN_FONT.sub(rf"\1{SHOWN_FONT}", element)
    return re.sub(r'<g id="[^"]*"', "<g", _titled(element))


def tell(artist: Any, *texts: str) -> None:
    """Let a drawn thing say a text when a pointer rests on it; one text for each of its marks."""
    artist.set_gid(TIP + quote("\n".join(texts), safe=""))


def _titled(element: str) -> str:
    """Return the SVG with the texts of `tell` as titles, which browsers show."""
    first, *told = re.split(rf'<g id="{TIP}([^"]*)">', element)
    parts = [first]
    for texts, rest in zip(told[::2], told[1::2], strict=True):
        titles = [f"<title>{escape(text)}</title>" for text in unquote(texts).split("\n")]
        if len(titles) == 1:
            parts.append(f"<g>{titles[0]}{rest}")
            continue
        for title in titles:  # of a scatter each mark is a <use>, in their order
            rest = MARK.sub(partial(_with_title, title), rest, count=1)
        parts.append(f"<g>{rest}")
    return "".join(parts)


def _with_title(title: str, mark: re.Match[str]) -> str:
    return f"<use {mark[1]}>{title}</use>"


@contextmanager
def styled() -> Iterator[None]:
    """Draw with our style inside, whatever the user's own is."""
    with style.context({**STYLE, "font.family": families()}, after_reset=True):
        yield


def blank(height: float) -> Plot:
    """Return an empty figure of the page's width. height: in inches."""
    return Plot(figsize=(WIDTH, height), layout="constrained")


def title_panel(panel: Any, name: str, columns: int) -> None:
    """Write a name above a panel, in lines that its width has room for."""
    lines = [name] if len(name) <= LINE // columns else wrap(name, LINE // columns)
    panel.set_title("\n".join(lines))


def log_x(axes: Any, form: str, subs: tuple[int, ...] = (1, 2, 5)) -> None:
    """Set a log scale with few plain numbers, `subs` times powers of ten.

    form: of a number x, such as "{x:g}".
    """
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=subs, numticks=5))
    # the usual one writes 10 to the power of
    axes.xaxis.set_major_formatter(StrMethodFormatter(form))
    axes.xaxis.set_minor_formatter(NullFormatter())


def label_tile(axes: Any, y: int, x: int, text: str, dark: bool, size: float) -> None:
    """Write a text into the middle of a tile of `pcolormesh`, white on a dark one."""
    colour = "white" if dark else "black"
    axes.text(x + 0.5, y + 0.5, text, ha="center", va="center", fontsize=size, color=colour)
