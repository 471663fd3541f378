"""RESULTS.md: what the ledger has of the tables, beside what was published, and what was not run.

It is a function of the ledger: no date, no path, and nothing is computed for it.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from dfkd.reporting.console import duration
from dfkd.reporting.markdown import as_text, markdown_table
from dfkd.reporting.numbers import percent
from dfkd.reporting.style import Plot, svg
from dfkd.reproduction.convergence import followed, reached
from dfkd.reproduction.figures import convergence
from dfkd.reproduction.published import Published, published
from dfkd.reproduction.table import NO_RESULT, SMOKE, Column, Table
from dfkd.storage import Storage
from dfkd.studies import tables
from dfkd.studies.findings import Findings, find
from dfkd.studies.reading import from_ledger
from dfkd.studies.record import read

PAGE, FIGURES = "RESULTS.md", "results"
CONVERGENCE_HEADER = (
    "method",
    "n",
    "validation, final %",
    "steps",
    "images",
    "device time",
    "to 95 % of full",
)
HEAD = """# Results

Made from the ledger by `python -m platform.reproduce --results`: change nothing here by hand.
"""
FACTS = ("device", "precision", "threads", "workers", "torch", "commit")
TIMES = (
    "Device times are those of the processes that computed the cells, by the clock: other work on "
    "the same machine lengthens them. Accuracies do not depend on it."
)


def written(wanted: Iterable[tuple[Table, str]], storage: Storage) -> dict[str, str]:
    """Return the content of RESULTS.md and of its figures by name, for tables at scales."""
    texts, absent, pages = dict[str, str](), list[str](), [HEAD]
    by_table: dict[str, list[str]] = {}
    shown: dict[str, Table] = {}
    for table, scale in wanted:
        shown[table.name] = table
        for name, column in table.study_names(scale).items():
            findings = _findings(name, storage)
            if findings is None:
                absent.append(f"`{name}`")
                continue
            label = NO_RESULT if scale == SMOKE else ""
            figure = convergence(findings.data, label)
            if figure is not None:
                texts[f"{FIGURES}/{name}.svg"] = svg(figure) + "\n"
            text = _study(findings, table, scale, column, figure)
            by_table.setdefault(table.name, []).append(text)
    for name, table in shown.items():
        pages += [f"## {table.title}\n", *by_table.get(name, ["Not run.\n"]), _published(table)]
    pages += ["## What was not run\n", *_not_run(absent)]
    return {PAGE: "\n".join(page for page in pages if page), **texts}


def _findings(name: str, storage: Storage) -> Findings | None:
    """Return what a study found; None where it was not run, or has no cell of its baseline."""
    if read(storage, name) is None:
        return None
    try:
        return find(from_ledger(storage, name))
    except ValueError:
        return None


def _not_run(absent: Sequence[str]) -> list[str]:
    how = "`python -m platform.reproduce TABLE --scale SCALE` says what each needs, and computes it"
    return [f"- {name}" for name in absent] + ["", f"{how}.\n"] if absent else ["Nothing.\n"]


def _study(
    findings: Findings, table: Table, scale: str, column: Column, figure: Plot | None
) -> str:
    data = findings.data
    notes = () if data.name == table.images_name(scale) else table.notes
    facts = [*notes, findings.varies, findings.conditions, *findings.notes]
    lines = [
        f"### {as_text(data.question)}",
        "",
        *markdown_table(*_accuracies(findings, published(table.name, column.name))),
        "",
        as_text(tables.caption(findings)),
        "",
        *_converged(findings),
        f"Again:  `python -m platform.reproduce {table.name} --scale {scale}`",
        "",
        *([f"![{as_text(data.question)}]({FIGURES}/{data.name}.svg)", ""] if figure else []),
        *(f"- {as_text(fact)}" for fact in (*facts, _computed(data.provenance))),
    ]
    return "\n".join(lines) + "\n"


def _computed(provenance: Mapping[str, Sequence[str]]) -> str:
    """Return on what the cells were computed."""
    known = [f"{name} {', '.join(provenance[name])}" for name in FACTS if name in provenance]
    return f"computed on: {'; '.join(known)}"


def _accuracies(
    findings: Findings, numbers: Sequence[Published]
) -> tuple[Sequence[str], list[list[str]]]:
    """Return header and rows of a study, with the published numbers where there are any."""
    header, rows = tables.header(findings), tables.rows(findings)
    beside = {row[0]: [one.shown for one in numbers if one.row == row[0]] for row in rows}
    if not numbers or not any(beside.values()):
        return header, rows
    return [*header, "published %"], [[*row, "; ".join(beside[row[0]])] for row in rows]


def _converged(findings: Findings) -> list[str]:
    data = findings.data
    rows = reached(data, data.baseline).to_dict("records")
    if not rows:
        return []
    what = (
        f"When {followed(data)} is at 95 % of where it ends (medians over blocks, told to the next "
        f"evaluation), and the device time to 95 % of where {data.baseline} ends. A cell's own "
        "time, evaluations and the synthesis of its pool included; teachers and scores, which "
        f"cells share, are not counted. {TIMES}"
    )
    body = [_row(row) for row in rows]
    return [*markdown_table(CONVERGENCE_HEADER, body), "", as_text(what), ""]


def _row(row: Mapping[str, float]) -> list[str]:
    never = math.isnan(row["to_full"])
    return [
        str(row["variant"]),
        str(row["n"]),
        percent(row["final"]),
        f"{row['step']:,.0f}",
        f"{row['images']:,.0f}",
        duration(row["seconds"]),
        "not reached" if never else duration(row["to_full"]),
    ]


def _published(table: Table) -> str:
    """Return all published numbers of a table, columns side by side, "" where there are none.

    A row names its source by its number in the list below.
    """
    numbers = {c.name: published(table.name, c.name) for c in table.columns}
    keys = dict.fromkeys((one.method, one.source) for of in numbers.values() for one in of)
    if not keys:
        return ""
    sources = list(dict.fromkeys(source for _, source in keys))
    body = [
        [
            method,
            *(_cell(numbers[c.name], method, source) for c in table.columns),
            str(sources.index(source) + 1),
        ]
        for method, source in keys
    ]
    header = ["published, %", *(column.title for column in table.columns), "source"]
    named = [f"{number}. {as_text(source)}" for number, source in enumerate(sources, start=1)]
    return "\n".join([*markdown_table(header, body), "", "Sources:", "", *named]) + "\n"


def _cell(numbers: Iterable[Published], method: str, source: str) -> str:
    return "; ".join(one.shown for one in numbers if (one.method, one.source) == (method, source))
