"""The findings of a study as tables: rows for people, Markdown, LaTeX (booktabs) and CSV."""

import math
from collections.abc import Sequence

from dfkd.reporting import latex as booktabs
from dfkd.reporting.changes import changed_lines
from dfkd.reporting.latex import NEEDS
from dfkd.reporting.markdown import as_text, markdown_table
from dfkd.reporting.numbers import interval, p, percent, points
from dfkd.stats.comparisons import Comparison, frame
from dfkd.stats.factorial import Effect
from dfkd.studies.findings import Findings
from dfkd.studies.per_class import Classes, by_class

HEADER = ("variant", "test %", "n", "difference", "95 % interval", "p (Holm)", "verdict")
EFFECTS_HEADER = ("effect", "points", "95 % interval", "p (Holm)", "mixed with")
CAPTION = (
    "Test accuracy in per cent; differences to the baseline in points, paired by block, with "
    "t-intervals; p corrected by Holm over the study."
)


def header(findings: Findings) -> tuple[str, ...]:
    """Return HEADER, with the metric's own name where results come from elsewhere."""
    own = findings.data.elsewhere
    return HEADER if own is None else (HEADER[0], f"{own.metric} %", *HEADER[2:])


def caption(findings: Findings) -> str:
    """Return CAPTION, with the metric's own name where results come from elsewhere."""
    measure = findings.data.measure
    return CAPTION.replace("Test accuracy", measure[:1].upper() + measure[1:])


def rows(findings: Findings) -> list[list[str]]:
    """Return rows of HEADER: the baseline first, then the comparisons in the study's order."""
    baseline = findings.data.baseline
    summary = findings.summary.set_index("variant").loc[baseline]
    first = [baseline, percent(summary["mean"]), str(int(summary["n"])), "", "", "", "baseline"]
    return [first, *(_row(comparison) for comparison in findings.comparisons)]


def _row(c: Comparison) -> list[str]:
    return [
        c.variant,
        percent(c.mean),
        str(c.n),
        points(c.difference),
        interval(c.low, c.high),
        p(c.p_holm),
        c.verdict,
    ]


def effect_rows(effects: Sequence[Effect]) -> list[list[str]]:
    """Return rows of EFFECTS_HEADER, one per averaged effect of a factorial study."""
    return [
        [e.term, points(e.effect), interval(e.low, e.high), p(e.p_holm), e.aliases] for e in effects
    ]


def changes(findings: Findings, variant: str) -> list[str]:
    """Return in what a variant differs from the baseline, a line for each parameter."""
    return changed_lines(findings.data.changes[variant], "baseline")


def markdown(findings: Findings) -> str:
    """Return a section that can be pasted into a README."""
    data = findings.data
    lines = [
        f"## {as_text(data.question)}",
        "",
        *markdown_table(header(findings), rows(findings), left=(0, len(HEADER) - 1)),
        "",
        as_text(caption(findings)),
        "",
    ]
    if findings.effects:
        lines += ["Effects, averaged over the other factors:", ""]
        last = len(EFFECTS_HEADER) - 1
        effects = markdown_table(EFFECTS_HEADER, effect_rows(findings.effects), left=(0, last))
        lines += [*effects, ""]
    found = by_class(data)
    if found is not None:
        lines += [
            f"Accuracy per class in per cent (difference to {as_text(found.baseline)}). "
            f"{found.which()}".rstrip(),
            "",
        ]
        lines += [*markdown_table(*class_rows(found)), ""]
    facts = [*data.note.lines(), findings.varies, findings.conditions, *findings.notes]
    facts += [f"{name}: {', '.join(values)}" for name, values in data.provenance.items()]
    lines += [f"- {as_text(fact)}" for fact in facts]
    return "\n".join(lines) + "\n"


def latex(findings: Findings) -> str:
    """Return tables for a paper; they need the package booktabs."""
    conditions = f"{findings.varies}; {findings.conditions}."
    said = f"{findings.data.question} {caption(findings)} {conditions[0].upper()}{conditions[1:]}"
    last = len(HEADER) - 1
    text = booktabs.table(
        caption=said,
        label=findings.data.name,
        header=header(findings),
        body=rows(findings),
        left=(0, last),
    )
    if findings.effects:
        text += "\n" + booktabs.table(
            caption=f"{findings.data.question} Effects, averaged over the other factors.",
            label=f"{findings.data.name}-effects",
            header=EFFECTS_HEADER,
            body=effect_rows(findings.effects),
            left=(0, len(EFFECTS_HEADER) - 1),
        )
    return NEEDS + text


def class_rows(found: Classes) -> tuple[list[str], list[list[str]]]:
    """Return header and rows: classes down, variants across, differences in brackets."""
    means, changes = found.pivot("mean"), found.pivot("difference")
    body = [
        [
            str(number),
            *(_of_class(means.loc[v, number], changes.loc[v, number]) for v in means.index),
        ]
        for number in found.shown()
    ]
    return ["class", *means.index], body


def _of_class(mean: float, change: float) -> str:
    return percent(mean) if math.isnan(change) else f"{percent(mean)} ({points(change)})"


def classes_latex(found: Classes, name: str) -> str:
    """Return the table of accuracies per class for a paper; `name`: the study's."""
    header, body = class_rows(found)
    caption = (
        "Accuracy on each class in per cent; in brackets the paired difference to "
        f"{found.baseline}, in points."
    )
    return NEEDS + booktabs.table(
        caption=f"{caption} {found.which()}".strip(),
        label=f"{name}-classes",
        header=header,
        body=body,
    )


def classes_csv(found: Classes) -> str:
    """Return every class, as fractions, with the interval of the paired difference."""
    return str(found.table.to_csv(index=False, lineterminator="\n"))


def comparisons_csv(findings: Findings) -> str:
    """Return every number of the comparisons in full, as fractions."""
    return str(frame(findings.comparisons).to_csv(index=False, lineterminator="\n"))


def cells_csv(findings: Findings) -> str:
    """Return one line per cell with all its metrics."""
    return str(findings.data.cells.to_csv(index=False, lineterminator="\n"))
