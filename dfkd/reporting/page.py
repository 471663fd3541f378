"""The parts of a report's page: HTML that needs nothing but itself, on a laptop and in print."""

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files


def page(title: str, parts: Iterable[str]) -> str:
    """Return the whole document. Parts that are empty are left out."""
    style, script = (_own(name) for name in ("page.css", "page.js"))
    body = "\n".join(part for part in parts if part)
    # the icon is empty: a browser would otherwise ask for one
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n"
        f"<script>\n{script}</script>\n</body>\n</html>\n"
    )


def _own(name: str) -> str:
    return files("dfkd.reporting").joinpath(name).read_text(encoding="utf-8")


def head(kind: str, title: str, lead: str, facts: Sequence[str]) -> str:
    """Return the head of a page: what it is about, its result in a sentence, and the conditions.

    facts: what a reader has to know before the numbers; empty ones are left out.
    """
    lines = "".join(f"<li>{escape(fact)}</li>" for fact in facts if fact)
    listed = f'<ul class="facts">{lines}</ul>\n' if lines else ""
    return (
        f'<header>\n<p class="kind">{escape(kind)}</p>\n<h1>{escape(title)}</h1>\n'
        f'<p class="lead">{escape(lead)}</p>\n{listed}</header>'
    )


def section(title: str, *content: str) -> str:
    """Return a section with a heading; "" where there is no content."""
    inside = "\n".join(part for part in content if part)
    return f"<section>\n<h2>{escape(title)}</h2>\n{inside}\n</section>" if inside else ""


def paragraph(text: str) -> str:
    """Return a paragraph of plain text; "" for ""."""
    return f'<p class="say">{escape(text)}</p>' if text else ""


def table(header: Sequence[str], body: Iterable[tuple[str, Sequence[str]]], kind: str = "") -> str:
    """Return a table whose cells are HTML. Wider than the page, it scrolls.

    body: each row with the names of its classes, "" for none. kind: those of the table.
    """
    top = "".join(f"<th>{name}</th>" for name in header)
    lines = [
        f"<tr{_class(of_row)}>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>"
        for of_row, row in body
    ]
    return (
        f'<div class="wide"><table{_class(kind)}>\n<thead><tr>{top}</tr></thead>\n<tbody>\n'
        + "\n".join(lines)
        + "\n</tbody>\n</table></div>"
    )


def plain_table(header: Sequence[str], body: Iterable[Sequence[str]], kind: str = "") -> str:
    """Return a table whose cells are plain text."""
    # names may break at a ".": six parameters fill the page's width
    names = [escape(name).replace(".", ".<wbr>") for name in header]
    return table(names, [("", [escape(cell) for cell in row]) for row in body], kind)


def _class(names: str) -> str:
    return f' class="{names}"' if names else ""


def figure(label: str, drawing: str, conclusion: str, reading: str) -> str:
    """Return a figure: below the drawing first what to conclude, then how to read it.

    drawing: an SVG element, which scrolls where the page is too narrow to read it. label: for those
    who cannot see it, followed by the conclusion.
    """
    said = f"{label}. {conclusion}" if conclusion else label
    labelled = drawing.replace("<svg", f'<svg role="img" aria-label="{escape(said)}"', 1)
    said = f"<strong>{escape(conclusion)}</strong> " if conclusion else ""
    caption = f"<figcaption>{said}{escape(reading)}</figcaption>"
    return f'<figure class="plot">\n<div class="wide">{labelled}</div>{caption}\n</figure>'


def folded(summary: str, content: str, *, printed: bool = False) -> str:
    """Return content that is closed until it is asked for.

    In print, it stays out unless `printed`.
    """
    kind = ' class="printed"' if printed else ""
    return f"<details{kind}><summary>{escape(summary)}</summary>\n{content}\n</details>"


def listed(lines: Iterable[str]) -> str:
    """Return a list of plain lines; "" where there are none."""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<ul class="notes">{items}</ul>' if items else ""
