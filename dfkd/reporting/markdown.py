"""Markdown: tables, and text that is read as it stands."""

import re
from collections.abc import Mapping, Sequence

# Only where they mean something: what stands there is read without Markdown as well
MARKS = re.compile(r"[\\`*|~$]|<(?=[A-Za-z/!?])|&(?=#?\w+;)|\](?=[(\[:])|\[(?=\^)")
# "_" within a word is none of Markdown's marks: selection.learning_rate stays readable
EDGE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
START = re.compile(r"^((?:#{1,6}|[+-]|\d+[.)])(?=\s|$)|[=-]+$|>)")  # a heading, a list, a line


def as_text(text: str) -> str:
    """Return a text such that Markdown shows it as it is, in a line, a heading or a table."""
    escaped = EDGE.sub(r"\\_", MARKS.sub(r"\\\g<0>", " ".join(text.split())))
    return START.sub(lambda found: f"{found[1][:-1]}\\{found[1][-1]}", escaped)


def markdown_table(
    header: Sequence[str], body: Sequence[Sequence[str]], left: Sequence[int] = (0,)
) -> list[str]:
    """Return the lines of a table. left: columns of text; all others go to the right."""
    rule = ["---" if column in left else "---:" for column in range(len(header))]
    lines = [[as_text(cell) for cell in row] for row in (header, *body)]
    cells = [lines[0], rule, *lines[1:]]
    return [f"| {' | '.join(row)} |" for row in cells]


def pictures(titles: Mapping[str, str]) -> str:
    """Return lines that show these figures, name -> title, of the same folder."""
    return "".join(f"\n![{as_text(title)}]({name}.svg)\n" for name, title in titles.items())
