"""Several studies and sweeps on one page: each with its result and its main figure.

Each keeps its own full page; this one shows them side by side, names the cells that the studies
share, and tests nothing across them.
"""

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from html import escape
from urllib.parse import quote

from dfkd.reporting.markdown import markdown_table
from dfkd.reporting.page import figure, head, page, paragraph, plain_table, section
from dfkd.reporting.shell import command
from dfkd.reporting.style import svg
from dfkd.storage import layout
from dfkd.studies import figures as plots
from dfkd.studies import page as report
from dfkd.studies import tables
from dfkd.studies.captions import READING, conclusion
from dfkd.studies.findings import Findings
from dfkd.sweeps import captions as said
from dfkd.sweeps import figures as sweep_plots
from dfkd.sweeps import page as sweep_page
from dfkd.sweeps.findings import SweepData

LONGEST = 80  # characters of a folder's name
SHARED = ("variant", "is the same recipe as", "shared cells")
NOTHING_SHARED = "These studies share no cells."
NOT_TESTED = (
    "Nothing is tested across studies: p-values are corrected within each. Shared cells were "
    "computed once and stand in each study that names them, so that their results are not "
    "independent evidence."
)


def folder_name(names: Sequence[str]) -> str:
    """Return a folder's name, the same for the same names in the same order."""
    joined = "+".join(names).replace("/", "-")  # an experiment of MLflow may be called "a/b"
    if len(joined) <= LONGEST:
        return joined
    return f"{len(names)}-{hashlib.sha256(joined.encode()).hexdigest()[:12]}"


def written(studies: Sequence[Findings], sweeps: Sequence[SweepData]) -> dict[str, str]:
    """Return the content of every file of the page by its name."""
    return {layout.PAGE: html(studies, sweeps), "report.md": markdown(studies, sweeps)}


def shared(studies: Sequence[Findings]) -> list[list[str]]:
    """Return rows of SHARED: variants of different studies that have cells in common."""
    cells = {
        (findings.data.name, str(variant)): set(rows["cell"])
        for findings in studies
        for variant, rows in findings.data.cells.groupby("variant", observed=True, sort=True)
    }
    places = list(cells)
    return [
        [f"{one[0]}: {one[1]}", f"{other[0]}: {other[1]}", str(len(cells[one] & cells[other]))]
        for i, one in enumerate(places)
        for other in places[i + 1 :]
        if one[0] != other[0] and cells[one] & cells[other]
    ]


def html(studies: Sequence[Findings], sweeps: Sequence[SweepData]) -> str:
    """Return the whole page."""
    names = [findings.data.name for findings in studies] + [data.name for data in sweeps]
    again = command("compare", shlex.join(names), {}, {})
    provenances = [f.data.provenance for f in studies] + [data.provenance for data in sweeps]
    parts = [
        head(
            "Overview",
            ", ".join(names),
            _lead(studies, sweeps),
            [*_inputs(provenances), *([NOT_TESTED] if len(studies) > 1 else [])],
        ),
        *(_study(findings) for findings in studies),
        *(_sweep(data) for data in sweeps),
        section("Cells in common", _shared(studies)) if len(studies) > 1 else "",
        section("Provenance", plain_table(("what", "value"), [("command", again)], "text")),
    ]
    return page(", ".join(names), parts)


def _lead(studies: Sequence[Findings], sweeps: Sequence[SweepData]) -> str:
    kinds = ((len(studies), "study", "studies"), (len(sweeps), "sweep", "sweeps"))
    counts = [f"{n} {one if n == 1 else many}" for n, one, many in kinds if n]
    return f"{' and '.join(counts)}, each with a full report of its own."


def _inputs(provenances: Sequence[Mapping[str, tuple[str, ...]]]) -> list[str]:
    """Return whether all have the same teacher and pool, as far as that is recorded."""
    found = {part: {one.get(part, ()) for one in provenances} for part in ("teacher", "pool")}
    return [
        f"{'all' if len(values) == 1 else 'not all'} have the same {part}"
        for part, values in found.items()
        if () not in values
    ]


def _study(findings: Findings) -> str:
    drawing = plots.figures(findings).get("effects")
    name = findings.data.name
    below = conclusion("effects", findings), READING["effects"]
    shown = "" if drawing is None else figure(f"differences of {name}", svg(drawing), *below)
    conditions = f"{findings.varies}; {findings.conditions}"
    return section(
        findings.data.question,
        paragraph(f"{name}. {report.headline(findings)}"),
        shown,
        paragraph(conditions),
        _link(f"../../{layout.study(name) / layout.REPORT / layout.PAGE}"),
    )


def _sweep(data: SweepData) -> str:
    drawn = sweep_plots.figures(data)
    shown = [
        figure(said.TITLES[name], svg(drawn[name]), said.conclusion(name, data), said.READING[name])
        for name in ("confirmation", "history")
        if name in drawn
    ]
    title, lead = said.said(data)
    return section(
        title,
        paragraph(f"{data.name}. {lead}"),
        *shown[:1],
        _link(f"../../{layout.sweep(data.name) / layout.REPORT / layout.PAGE}"),
    )


def _link(address: str) -> str:
    return f'<p><a href="{escape(quote(address))}">the full report</a></p>'


def _shared(studies: Sequence[Findings]) -> str:
    rows = shared(studies)
    return plain_table(SHARED, rows, "text") if rows else paragraph(NOTHING_SHARED)


def markdown(studies: Sequence[Findings], sweeps: Sequence[SweepData]) -> str:
    """Return the same as Markdown, without figures."""
    sections = [tables.markdown(findings) for findings in studies] + [
        sweep_page.markdown(data) for data in sweeps
    ]
    if len(studies) > 1:
        rows = shared(studies)
        table = markdown_table(SHARED, rows, left=(0, 1)) if rows else [NOTHING_SHARED]
        sections.append("\n".join(["## Cells in common", "", *table, "", NOT_TESTED]) + "\n")
    return "\n".join(sections)
