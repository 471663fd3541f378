"""Fonts of figures: matplotlib's own, and what this machine has for signs that it lacks.

The text of an SVG is text: its viewer's fonts show it. These are for its layout and for pictures.
"""

from matplotlib import font_manager

OWN = "DejaVu Sans"  # bundled with matplotlib: on every machine
# Chinese, Japanese and Korean: what Linux, macOS and Windows have, the first that is installed
OTHERS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans SC"),
    *("Source Han Sans SC", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback"),
    *("PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo", "Arial Unicode MS"),
    *("Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "SimHei", "IPAexGothic", "NanumGothic"),
)


def families() -> list[str]:
    """Return the fonts to look for a sign in: our own first, then those that are installed."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return [OWN, *(name for name in OTHERS if name in installed)]
