"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def markdown_table(header: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table, its first column to the left and the others to the right."""
    rule = ["---", *("---:" for _ in header[1:])]
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (header, rule, *body)]
    return [f"| {' | '.join(row)} |" for row in cells]
