"""The report of a study: one HTML page that needs nothing but itself, and the same in Markdown, LaTeX and CSV.

It is a function of the findings alone: no date, no path, no name of a machine that the records do not hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files

from dfkd.evidence import plots, tables
from dfkd.evidence.findings import Findings
from dfkd.evidence.statistics import BETTER, WORSE, Comparison
from dfkd.evidence.tables import interval, p, percent, points

CAPTIONS = {
    "effects": "Differences to the baseline, paired by block. Thick: the 95 % interval of one comparison; thin: the "
    "interval that holds for all comparisons at once (Bonferroni). Blue: better, orange: worse after Holm's "
    "correction, grey: neither.",
    "dose": "Mean test accuracy and its 95 % interval over blocks. The intervals hold the spread between blocks that "
    "the paired differences above do not.",
    "learning": "Mean and one standard deviation over blocks; grey in every panel: the baseline.",
    "cost": "Mean test accuracy with its 95 % interval, against the median seconds of a cell with its quartiles.",
    "classes": "Mean difference to the baseline in each class, in points.",
}
TITLES = {
    "effects": "Effects",
    "dose": "Over the parameter",
    "learning": "Learning curves",
    "cost": "Accuracy against cost",
    "classes": "Accuracy per class",
}


def written(findings: Findings) -> dict[str, str]:
    """File name -> content."""
    return {
        "index.html": html(findings),
        "report.md": tables.markdown(findings),
        "table.tex": tables.latex(findings),
        "comparisons.csv": tables.comparisons_csv(findings),
        "cells.csv": tables.cells_csv(findings),
    }


def html(findings: Findings) -> str:
    """The whole page."""
    data = findings.data
    drawn = {name: plots.svg(figure) for name, figure in plots.figures(findings).items()}
    style = files("dfkd.evidence").joinpath("page.css").read_text()
    parts = [
        f"<h1>{escape(data.question)}</h1>",
        f'<p class="lead">{escape(headline(findings))}</p>',
        f'<p class="facts">{escape(_facts(findings))}</p>',
        _section("Result", _results(findings) + _notes(findings)),
        *(_section(TITLES[name], _figure(name, text)) for name, text in drawn.items()),
        _section("Effects averaged over the other factors", _effects(findings)) if findings.effects else "",
        _section("What each variant changes", _changes(findings)),
        _section("Provenance", _provenance(findings)),
        _section("Cells", _cells(findings)),
        _section("How to read this", _reading()),
    ]
    body = "\n".join(part for part in parts if part)
    # the icon is empty: a browser would otherwise ask for one
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(data.name)}: {escape(data.question)}</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def headline(findings: Findings) -> str:
    """The result in one sentence."""
    groups: dict[str, list[str]] = {}
    for c in findings.comparisons:
        groups.setdefault(c.verdict, []).append(f"{c.variant} ({points(c.difference)})" if c.n else c.variant)
    said = [f"{verdict}: {', '.join(names)}" for verdict, names in groups.items()]
    return f"Against {findings.data.baseline!r}, in points of test accuracy - " + "; ".join(said) + "."


def _facts(findings: Findings) -> str:
    data = findings.data
    states = data.cells["state"].value_counts().sort_index()
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    return (
        f"Study {data.name}: {len(data.params)} variants, {data.cells['block'].nunique()} blocks, cells: {counts}; "
        f"{findings.varies}; {findings.conditions}."
    )


def _section(title: str, content: str) -> str:
    return f"<section>\n<h2>{escape(title)}</h2>\n{content}\n</section>"


def _table(header: Sequence[str], body: Iterable[tuple[str, Sequence[str]]], kind: str = "") -> str:
    """Cells are HTML; each row comes with its class."""
    head = "".join(f"<th>{name}</th>" for name in header)
    lines = [f'<tr class="{of_row}">{"".join(f"<td>{cell}</td>" for cell in row)}</tr>' for of_row, row in body]
    return (
        f'<div class="wide"><table class="{kind}">\n<thead><tr>{head}</tr></thead>\n<tbody>\n'
        + "\n".join(lines)
        + "\n</tbody>\n</table></div>"
    )


def _results(findings: Findings) -> str:
    header = [*tables.HEADER[:-1], "effect size", "P(better)", "verdict"]
    baseline = findings.summary.set_index("variant").loc[findings.data.baseline]
    first = [escape(findings.data.baseline), percent(baseline["mean"]), str(int(baseline["n"])), *[""] * 5, "baseline"]
    return _table(header, [("", first), *((_kind(c), _result(c)) for c in findings.comparisons)], "results")


def _kind(c: Comparison) -> str:
    return c.verdict if c.verdict in (BETTER, WORSE) else ""


def _result(c: Comparison) -> list[str]:
    size = "" if c.effect_size is None else f"{c.effect_size:+.2f}"
    wins = "" if c.probability_better is None else f"{c.probability_better:.2f}"
    numbers = [percent(c.mean), str(c.n), points(c.difference), interval(c.low, c.high), p(c.p_holm), size, wins]
    return [escape(text) for text in (c.variant, *numbers, c.verdict)]


def _notes(findings: Findings) -> str:
    return '<ul class="small">' + "".join(f"<li>{escape(note)}</li>" for note in findings.notes) + "</ul>"


def _figure(name: str, drawing: str) -> str:
    caption = escape(CAPTIONS[name])
    labelled = drawing.replace("<svg", f'<svg role="img" aria-label="{escape(TITLES[name])}"', 1)
    return f"<figure>\n{labelled}<figcaption>{caption}</figcaption>\n</figure>"


def _effects(findings: Findings) -> str:
    body = [("", [escape(cell) for cell in row]) for row in tables.effect_rows(findings.effects)]
    return _table(tables.EFFECTS_HEADER, body)


def _changes(findings: Findings) -> str:
    """For the baseline its whole recipe; for the others what differs."""
    recipe = findings.data.params[findings.data.baseline]
    body = [
        ("", [escape(variant), "<br>".join(escape(line) for line in tables.changes(findings, variant))])
        for variant in findings.data.params
        if variant != findings.data.baseline
    ]
    full = _table(("parameter", "value"), [("", [escape(n), escape(v)]) for n, v in recipe.items()], "text")
    closed = f"<details><summary>the whole recipe of {escape(repr(findings.data.baseline))}</summary>{full}</details>"
    return _table(("variant", "what differs"), body, "text") + closed


def _provenance(findings: Findings) -> str:
    facts = {
        **findings.data.provenance,
        "blocks": tuple(str(block) for block in findings.data.blocks),
        "test images": (str(findings.data.test_images or "not recorded"),),
        "conclusions": (findings.conditions,),
    }
    body = [("", [escape(name), escape(", ".join(values))]) for name, values in facts.items()]
    return _table(("what", "value"), body, "text")


def _cells(findings: Findings) -> str:
    header = ("variant", "block", "state", "test %", "seconds", "cell", "")
    body = [
        ("", [escape(str(row["variant"])), escape(str(row["block"])), row["state"], percent(row["value"]),
              f"{row['seconds']:.1f}", f"<code>{row['cell']}</code>", "reused" if row["reused"] else ""])
        for row in findings.data.cells.to_dict("records")
    ]  # fmt: skip
    reused = int(findings.data.cells["reused"].sum())
    summary = f"{len(body)} cells, {reused} of them reused from earlier work"
    return f"<details><summary>{summary}</summary>{_table(header, body)}</details>"


def _reading() -> str:
    sentences = (
        "Every variant was computed in the same blocks; a difference is taken within each block, so that what the "
        "blocks share cancels. The interval is a t-interval of these differences.",
        "The verdict follows p after Holm's correction over all comparisons of this study. \"Not distinguishable at "
        "this n\" does not say that there is no difference: the interval says how large it may be.",
        "Effect size: Hedges' g of the pairs. P(better): the share of blocks in which the variant was better.",
        "A cell can be looked at and computed again by its name: python -m platform.show CELL.",
    )
    return '<ul class="small">' + "".join(f"<li>{escape(text)}</li>" for text in sentences) + "</ul>"
