"""The findings of a study as tables: rows for people, Markdown, LaTeX (booktabs) and CSV."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from dfkd.evidence.factorial import Effect
from dfkd.evidence.findings import Findings
from dfkd.evidence.statistics import Comparison, frame

HEADER = ("variant", "test %", "n", "difference", "95 % interval", "p (Holm)", "verdict")
EFFECTS_HEADER = ("effect", "points", "95 % interval", "p (Holm)", "mixed with")
CAPTION = (
    "Test accuracy in per cent; differences to the baseline in points, paired by block, with t-intervals; p corrected "
    "by Holm over the study."
)


def rows(findings: Findings) -> list[list[str]]:
    """The baseline first, then the comparisons in the study's order."""
    baseline = findings.data.baseline
    summary = findings.summary.set_index("variant").loc[baseline]
    first = [baseline, percent(summary["mean"]), str(int(summary["n"])), "", "", "", "baseline"]
    return [first, *(_row(comparison) for comparison in findings.comparisons)]


def _row(c: Comparison) -> list[str]:
    return [c.variant, percent(c.mean), str(c.n), points(c.difference), interval(c.low, c.high), p(c.p_holm), c.verdict]


def effect_rows(effects: Sequence[Effect]) -> list[list[str]]:
    return [[e.term, points(e.effect), interval(e.low, e.high), p(e.p_holm), e.aliases] for e in effects]


def percent(value: float) -> str:
    return "" if math.isnan(value) else f"{100 * value:.1f}"


def points(value: float) -> str:
    return "" if math.isnan(value) else f"{100 * value:+.1f}"


def interval(low: float | None, high: float | None) -> str:
    return "none" if low is None or high is None else f"{100 * low:+.1f} to {100 * high:+.1f}"


def p(value: float | None) -> str:
    if value is None:
        return "none"
    return f"{value:.3f}" if value >= 0.001 else "< .001"


def changes(findings: Findings, variant: str) -> list[str]:
    """What differs from the baseline, a line for each parameter."""
    return changed_lines(findings.data.changes[variant], "baseline")


def changed_lines(pairs: Mapping[str, tuple[str, str]], other: str) -> list[str]:
    """Name -> (here, in the other) in words, a line each. What a piece that is gone had goes without saying."""
    gone = {name for name, (here, _) in pairs.items() if here == "none"}
    return [
        f"{name}: {_change(_short(here), _short(there), other)}"
        for name, (here, there) in pairs.items()
        if not (here == "None" and any(name.startswith(f"{piece}.") for piece in gone))
    ]


def _change(here: str, there: str, other: str) -> str:
    if here == "None":
        return f"not there ({other}: {there})"
    return here if there == "None" else f"{here} ({other}: {there})"


def _short(text: str) -> str:
    try:
        return text if text.lstrip("-").isdigit() else f"{float(text):.4g}"
    except ValueError:
        return text


def markdown(findings: Findings) -> str:
    """A section that can be pasted into a README."""
    data = findings.data
    lines = [f"## {data.question}", "", *_markdown_table(HEADER, rows(findings)), "", CAPTION, ""]
    if findings.effects:
        lines += ["Effects, averaged over the other factors:", ""]
        lines += [*_markdown_table(EFFECTS_HEADER, effect_rows(findings.effects)), ""]
    lines += [f"- {note}" for note in (findings.varies, findings.conditions, *findings.notes)]
    lines += [f"- {name}: {', '.join(values)}" for name, values in data.provenance.items()]
    return "\n".join(lines) + "\n"


def _markdown_table(header: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *("---:" for _ in header[1:])]
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (header, rule, *body)]
    return [f"| {' | '.join(row)} |" for row in cells]


LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip


def escape(text: str) -> str:
    """Plain text for LaTeX."""
    return "".join(LATEX.get(character, character) for character in text)


def latex(findings: Findings) -> str:
    r"""A table for a paper; it needs \usepackage{booktabs}."""
    notes = "; ".join(escape(text) for text in (findings.varies, findings.conditions)).capitalize()
    body = [" & ".join(_latex_cell(cell) for cell in row) + r" \\" for row in rows(findings)]
    lines = [
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{escape(findings.data.question)} {escape(CAPTION)} {notes}.}}",
        rf"  \label{{tab:{_label(findings.data.name)}}}",
        r"  \begin{tabular}{lrrrrrl}",
        r"    \toprule",
        "    " + " & ".join(_latex_cell(name) for name in HEADER) + r" \\",
        r"    \midrule",
        *(f"    {line}" for line in body),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _label(name: str) -> str:
    return "".join(character if character.isalnum() else "-" for character in name)


def _latex_cell(text: str) -> str:
    """Numbers in math mode, for their minus."""
    parts = text.split(" to ")
    if all(part and part[0] in "+-" and part[1:].replace(".", "", 1).isdigit() for part in parts):
        return " to ".join(f"${part}$" for part in parts)
    return escape(text)


def comparisons_csv(findings: Findings) -> str:
    """Every number of the comparisons in full, as fractions."""
    return str(frame(findings.comparisons).to_csv(index=False, lineterminator="\n"))


def cells_csv(findings: Findings) -> str:
    return str(findings.data.cells.to_csv(index=False, lineterminator="\n"))


def effects_frame(effects: Sequence[Effect]) -> pd.DataFrame:
    return pd.DataFrame([vars(effect) for effect in effects])
