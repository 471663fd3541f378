"""The report of a study: one HTML page, and the same in Markdown, LaTeX, CSV and SVG.

The page needs nothing but itself. It is a function of the findings, and of the selected images
where they are at hand: no date, no path and no name of a machine that the records do not hold.
"""

from html import escape
from math import isnan
from pathlib import Path

from dfkd.reporting import sheets
from dfkd.reporting.markdown import pictures
from dfkd.reporting.numbers import interval, p, percent, points
from dfkd.reporting.page import (
    figure,
    folded,
    head,
    listed,
    page,
    paragraph,
    plain_table,
    section,
    table,
)
from dfkd.reporting.report_files import write_report_files
from dfkd.reporting.sheets import NO_IMAGES, Selected
from dfkd.reporting.style import svg
from dfkd.stats.comparisons import BETTER, WORSE, Comparison
from dfkd.storage import Storage, layout
from dfkd.studies import figures as plots
from dfkd.studies import tables
from dfkd.studies.captions import READING, conclusion
from dfkd.studies.findings import Findings
from dfkd.studies.per_class import by_class
from dfkd.studies.selected_images import selected

TITLES = {
    "effects": "Differences to the baseline",
    "dose": "Over the parameter",
    "classes": "Accuracy per class",
    "learning": "Learning curves",
    "cost": "Accuracy against cost",
}


def write_report(findings: Findings, storage: Storage) -> tuple[dict[str, Path | str], bool]:
    """Write the report's files, unless they are there already.

    Returns the files by their names in MLflow, and whether any was written.
    """
    texts = written(findings, selected(findings.data, storage))
    return write_report_files(storage, layout.study(findings.data.name) / layout.REPORT, texts)


def written(findings: Findings, selected: Selected = NO_IMAGES) -> dict[str, str]:
    """Return the content of every file of the report by its name."""
    drawn = {name: svg(figure) for name, figure in plots.figures(findings).items()}
    found = by_class(findings.data)
    per_class = (
        {}
        if found is None
        else {
            "classes.csv": tables.classes_csv(found),
            "classes.tex": tables.classes_latex(found, findings.data.name),
        }
    )
    return {
        layout.PAGE: html(findings, selected, drawn),
        "report.md": tables.markdown(findings) + pictures({n: TITLES[n] for n in drawn}),
        "table.tex": tables.latex(findings),
        "comparisons.csv": tables.comparisons_csv(findings),
        "cells.csv": tables.cells_csv(findings),
        **per_class,
        **{f"{name}.svg": f"{drawing}\n" for name, drawing in drawn.items()},
    }


def html(
    findings: Findings, selected: Selected = NO_IMAGES, drawn: dict[str, str] | None = None
) -> str:
    """Return the whole page. drawn: the figures as SVG by name, if they are drawn already."""
    data = findings.data
    kind = "Results" if data.elsewhere else "Ablation study"
    if drawn is None:
        drawn = {name: svg(figure) for name, figure in plots.figures(findings).items()}
    figures = {
        name: figure(TITLES[name], drawing, conclusion(name, findings), READING[name])
        for name, drawing in drawn.items()
    }
    found = by_class(data)
    extra = {
        "classes": ""
        if found is None
        else folded("the same as a table", _classes(findings), printed=False)
    }
    parts = [
        head(f"{kind} {data.name}", data.question, headline(findings), _facts(findings)),
        section(
            "Result",
            _results(findings),
            folded("more numbers for each comparison", _more(findings)),
        ),
        *(section(TITLES[name], drawing, extra.get(name, "")) for name, drawing in figures.items()),
        section(
            "Effects averaged over the other factors",
            _effects(findings) if findings.effects else "",
        ),
        section("Selected images, as the teacher saw them", sheets.html(selected)),
        section("What each variant changes", "" if data.elsewhere else _changes(findings)),
        section("Provenance", _provenance(findings)),
        section("Cells", _cells(findings)),
        section("How to read this", _reading(data.elsewhere is None)),
    ]
    return page(f"{data.name}: {data.question}", parts)


def headline(findings: Findings) -> str:
    """Return the result in one sentence."""
    groups: dict[str, list[str]] = {}
    for c in findings.comparisons:
        groups.setdefault(c.in_words, []).append(
            f"{c.variant} ({points(c.difference)})" if c.n else c.variant
        )
    said = [f"{verdict}: {', '.join(names)}" for verdict, names in groups.items()]
    baseline = findings.summary.set_index("variant").loc[findings.data.baseline]
    measured = f"{percent(baseline['mean'])} % {findings.data.measure}"
    return f"Against {findings.data.baseline} ({measured}), in points: {'; '.join(said)}."


def _facts(findings: Findings) -> list[str]:
    """Return what a reader has to know before the numbers, a line each."""
    data = findings.data
    states = data.cells["state"].value_counts().sort_index()
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    size = f"{len(data.params)} variants in {data.cells['block'].nunique()} blocks; cells: {counts}"
    note = data.note.lines()
    return [*note, size, findings.varies, f"conclusions are {findings.conditions}", *findings.notes]


def _results(findings: Findings) -> str:
    kinds = ["", *(_kind(c) for c in findings.comparisons)]
    body = [
        (kind, [escape(text) for text in row])
        for kind, row in zip(kinds, tables.rows(findings), strict=True)
    ]
    return table([escape(name) for name in tables.header(findings)], body, "results")


def _kind(c: Comparison) -> str:
    return c.verdict if c.verdict in (BETTER, WORSE) else ""


def _more(findings: Findings) -> str:
    """Return what stands beside the primary analysis, never instead of it."""
    header = (
        "variant",
        "sd over blocks",
        "se of the test set",
        "simultaneous interval",
        "effect size",
        "P(better)",
        "p alone",
        "p by sign flips",
    )
    of_variant = {c.variant: c for c in findings.comparisons}
    body = []
    for row in findings.summary.to_dict("records"):
        c = of_variant.get(row["variant"])
        beside = (
            [""] * 5
            if c is None
            else [
                interval(c.wide_low, c.wide_high),
                _number(c.effect_size, "+.2f"),
                _number(c.probability_better, ".2f"),
                p(c.p),
                p(c.p_signflip),
            ]
        )
        body.append(
            [row["variant"], _points_of(row["sd"]), _points_of(row.get("test_se")), *beside]
        )
    return plain_table(header, body) + paragraph(
        f"In points of {findings.data.measure}. The standard error of the test set is what its "
        "finite size alone leaves open of a variant's mean, the same in every block. Effect size: "
        "Hedges' g of the pairs. P(better): the share of blocks in which the variant was better. "
        "Sign flips are a sensitivity, shown from 8 blocks on."
    )


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _points_of(value: float | None) -> str:
    return "" if value is None or value != value else f"{100 * value:.2f}"


def _effects(findings: Findings) -> str:
    return plain_table(tables.EFFECTS_HEADER, tables.effect_rows(findings.effects))


def _classes(findings: Findings) -> str:
    found = by_class(findings.data)
    assert found is not None  # asked only where it is there
    return plain_table(*tables.class_rows(found)) + paragraph(
        f"Mean accuracy in per cent, in brackets the difference to {found.baseline}. "
        f"{found.which()} All classes with their intervals: classes.csv."
    )


def _changes(findings: Findings) -> str:
    """Return what each variant changes, and the whole recipe of the baseline."""
    recipe = findings.data.params[findings.data.baseline]
    body = [
        (
            "",
            [
                escape(variant),
                "<br>".join(escape(line) for line in tables.changes(findings, variant)),
            ],
        )
        for variant in findings.data.params
        if variant != findings.data.baseline
    ]
    full = folded(
        f"the whole recipe of {findings.data.baseline}",
        plain_table(("parameter", "value"), recipe.items(), "text"),
    )
    return table(("variant", "what differs"), body, "text") + full


def _provenance(findings: Findings) -> str:
    data = findings.data
    facts = {**data.provenance, "blocks": tuple(str(block) for block in data.blocks)}
    if data.elsewhere is None:
        facts["test images"] = (str(data.test_images or "not recorded"),)
    return plain_table(
        ("what", "value"), [(name, ", ".join(values)) for name, values in facts.items()], "text"
    )


def _cells(findings: Findings) -> str:
    column = tables.header(findings)[1]
    header = ("variant", "block", "state", escape(column), "seconds", "cell", "")
    body = [
        (
            "",
            [
                escape(str(row["variant"])),
                escape(str(row["block"])),
                row["state"],
                percent(row["value"]),
                "" if isnan(row["seconds"]) else f"{row['seconds']:.1f}",
                f"<code>{row['cell']}</code>",
                "reused" if row["reused"] else "",
            ],
        )
        for row in findings.data.cells.to_dict("records")
    ]
    reused = int(findings.data.cells["reused"].sum())
    earlier = "" if findings.data.elsewhere else f", {reused} of them reused from earlier work"
    return folded(f"{len(body)} cells{earlier}", table(header, body, "cells"))


def _reading(has_cells: bool) -> str:
    again = "A cell can be looked at and computed again by its name: python -m platform.show CELL."
    lines = (
        "Every variant was computed in the same blocks; a difference is taken within each block, "
        "so that what the blocks share cancels. The interval is a t-interval of these differences.",
        "The verdict follows p after Holm's correction over all comparisons of this study. "
        '"Undecided" does not say that there is no difference: the interval says how large it may '
        "be, and more blocks make it narrower.",
    )
    return listed((*lines, again) if has_cells else lines)
