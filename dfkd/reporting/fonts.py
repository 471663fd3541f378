"""Fonts of figures: matplotlib's own, and what this machine has for signs that it lacks."""

from collections.abc import Iterable, Iterator

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

OWN = "DejaVu Sans"  # bundled with matplotlib: on every machine
# Chinese, Japanese and Korean: what Linux, macOS and Windows have, the first that is installed
OTHERS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans SC"),
    *("Source Han Sans SC", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback"),
    *("PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo", "Arial Unicode MS"),
    *("Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "SimHei", "IPAexGothic", "NanumGothic"),
)
NAMED = 5  # signs in a note


def families() -> list[str]:
    """Return the fonts to look for a sign in: our own first, then those that are installed."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return [OWN, *(name for name in OTHERS if name in installed)]


def note_of_missing(figures: Iterable[Figure]) -> str | None:
    """Return a line where these figures show signs as boxes, since no font here has them."""
    known = {code for name in families() for code in _signs_of(name)}
    missing = dict.fromkeys(sign for sign in _signs_in(figures) if ord(sign) not in known)
    if not missing:
        return None
    few = "".join(list(missing)[:NAMED]) + ("..." if len(missing) > NAMED else "")
    return (
        f"no font here has {few}: figures show boxes in their place, tables are whole; install one "
        "that has them, such as Noto Sans CJK"
    )


def _signs_of(family: str) -> Iterator[int]:
    path = font_manager.findfont(family)
    yield from font_manager.get_font(path).get_charmap()


def _signs_in(figures: Iterable[Figure]) -> Iterator[str]:
    for figure in figures:
        for text in figure.findobj(Text):
            yield from (sign for sign in text.get_text() if not sign.isspace())
