"""The tables of pieces, made from the families and their cards: `make docs` writes them.

    python docs/tables.py

docs/pieces.md has a row for each piece, the README one for each family.

A card is a piece's docstring: its first paragraph says what the piece does, and what stands after
"Source:", up to a full stop or semicolon, where it is from.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dfkd.experiment.families import FAMILIES
from dfkd.identity import name_of_kind

BEGIN = "<!-- made by `make docs` from the pieces' cards: change those -->"
END = "<!-- end of what is made -->"
ROOT = Path(__file__).parents[1]
WHAT = {  # of each family: what it decides
    "selection": "which images of the pool the student learns from",
    "sampling": "how often each of them is shown",
    "dropping": "which classes of the teacher's answer count as noise and are left out",
    "kd": "how the student's answers are compared with the teacher's",
    "explicit": "how its features are compared with the teacher's, image by image",
    "implicit": "how relations between images are compared",
    "views": "how images are changed while training",
    "finishing": "what is done to the student before it is evaluated and kept",
    "network": "what a student, or a teacher, is built as",
    "teacher": "where the teacher's weights are from",
    "task": "the classes, and the labelled images to test with, if there are any",
    "pool": "where the unlabelled images are from",
    "cache": "how much of the teacher's answer is kept",
}


def families() -> str:
    """Return a Markdown table with a row for each family: what it decides, and its pieces."""
    rows = ["| part | what it decides | pieces |", "|---|---|---|"]
    for family, kinds in FAMILIES.items():
        names = ", ".join(f"`{name_of_kind(kind)}`" for kind in kinds)
        rows.append(f"| {family} | {WHAT[family]} | {names} |")
    return "\n".join(rows)


def pieces() -> str:
    """Return a Markdown table with a row for each piece of each family."""
    rows = ["| part | piece | what it does | source |", "|---|---|---|---|"]
    for family, kinds in FAMILIES.items():
        for index, kind in enumerate(kinds):
            what, source = summary(kind)
            part = "" if index else family
            rows.append(f"| {part} | `{name_of_kind(kind)}` | {what} | {source} |")
    return "\n".join(rows)


def summary(kind: type[Any]) -> tuple[str, str]:
    """Return what a piece does and its source, "" where the card names none.

    ValueError for a piece without a card.
    """
    card = inspect.cleandoc(kind.__doc__ or "")
    if not card:
        raise ValueError(f"{kind.__name__} has no card: write what it does in its docstring")
    first, _, rest = card.partition("\n\n")
    source = re.search(r"Source: (?:published, )?(.+?)(?:;|\.$|\. (?=[A-Z]))", _joined(rest) + " A")
    return _escaped(_joined(first)), _escaped(source[1]) if source else ""


def _joined(text: str) -> str:
    return " ".join(text.split())


def _escaped(text: str) -> str:
    """Bars would end a cell, and what stands in angle brackets outside of code would be HTML."""
    parts = text.replace("|", "\\|").split("`")
    parts[::2] = [part.replace("<", "\\<") for part in parts[::2]]
    return "`".join(parts)


def updated(page: str, table: Callable[[], str]) -> str:
    """Return the page with the table between its two marks. ValueError where there are none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no marks {BEGIN!r} and {END!r} for the table")
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


PAGES = {"README.md": families, "docs/pieces.md": pieces}


if __name__ == "__main__":
    for name, table in PAGES.items():
        page = ROOT / name
        page.write_text(updated(page.read_text(encoding="utf-8"), table), encoding="utf-8")
