"""The report of a sweep: one HTML page that needs nothing but itself; Markdown and LaTeX."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from dfkd.reporting import latex as booktabs
from dfkd.reporting.latex import NEEDS
from dfkd.reporting.markdown import as_text, markdown_table, pictures
from dfkd.reporting.page import figure, folded, head, listed, page, plain_table, section
from dfkd.reporting.report_files import write_report_files
from dfkd.storage import Storage, layout
from dfkd.sweeps import tables
from dfkd.sweeps.captions import FRONT, HOW_TO_READ, READING, TITLES, conclusion, facts, said
from dfkd.sweeps.figures import drawings
from dfkd.sweeps.findings import SweepData, column


def write_report(
    data: SweepData, storage: Storage, warn: Callable[[str], None] | None = None
) -> tuple[dict[str, Path | str], bool]:
    """Write the report's files into the sweep's folder.

    warn: called with a line for each figure that cannot be drawn.
    Returns the files by their names in MLflow, and whether any had to be written anew.
    """
    return write_report_files(storage, layout.sweep(data.name) / layout.REPORT, written(data, warn))


def written(data: SweepData, warn: Callable[[str], None] | None = None) -> dict[str, str]:
    """Return the report's files: name -> content. warn: as for `write_report`."""
    drawn, notes = drawings(data)
    if warn is not None:
        for note in notes:
            warn(note)
    return {
        layout.PAGE: html(data, drawn, notes),
        "report.md": markdown(data) + pictures({name: TITLES[name] for name in drawn}),
        "table.tex": latex(data),
        "trials.csv": trials_csv(data),
        **{f"{name}.svg": f"{drawing}\n" for name, drawing in drawn.items()},
    }


def html(data: SweepData, drawn: dict[str, str], notes: Sequence[str] = ()) -> str:
    """Return the page. drawn: a figure's name -> SVG. notes: lines about what is missing."""
    shown = (
        section(TITLES[name], figure(TITLES[name], drawing, conclusion(name, data), READING[name]))
        for name, drawing in drawn.items()
    )
    first, *others = list(shown) or [""]
    every = folded(f"{len(data.trials)} trials", plain_table(*tables.every_trial(data), "cells"))
    provenance = plain_table(("what", "value"), tables.provenance(data), "text")
    parts = [
        head(f"Sweep {data.name}", *said(data), [*facts(data), *notes]),
        first if "confirmation" in drawn else "",
        section(
            f"Best trials, by the {data.judged_by}",
            plain_table(*tables.best(data, tables.marks(data))),
        ),
        *_front(data),
        "" if "confirmation" in drawn else first,
        *others,
        section("All trials", every),
        section("Provenance", provenance),
        section("How to read this", listed(HOW_TO_READ)),
    ]
    return page(f"sweep {data.name}", parts)


def _front(data: SweepData) -> list[str]:
    header, rows = tables.on_front(data, tables.marks(data))
    return [section(f"{FRONT} {data.cost_name}", plain_table(header, rows))] if rows else []


def markdown(data: SweepData) -> str:
    """Return the report without its figures as Markdown."""
    title, lead = said(data)
    lines = [f"## {as_text(title)}", "", as_text(lead), ""]
    if data.confirmation is not None:
        rows = tables.confirmed(data.confirmation)
        lines += [*markdown_table(tables.CONFIRMED, rows), ""]
    best = tables.best(data, tables.marks(data))
    lines += [f"Best trials, by the {data.judged_by}:", "", *markdown_table(*best), ""]
    header, rows = tables.on_front(data, tables.marks(data))
    if rows:
        lines += [f"{FRONT} {data.cost_name}:", "", *markdown_table(header, rows), ""]
    if data.importance is not None:
        shares = [[name, f"{100 * share:.0f}"] for name, share in data.importance.shares.items()]
        lines += [READING["importance"], ""]
        lines += [*markdown_table(("parameter", "share %"), shares), ""]
    said_of = [*facts(data), *(f"{name}: {values}" for name, values in tables.provenance(data))]
    lines += [f"- {as_text(fact)}" for fact in said_of]
    return "\n".join(lines) + "\n"


def latex(data: SweepData) -> str:
    r"""Return tables for a paper; they need \usepackage{booktabs}."""
    text = NEEDS
    if data.confirmation is not None:
        caption = (
            "Test accuracy of the sweep's winner and of the default in per cent, paired over fresh "
            "blocks; difference in points with its t-interval; conditional on this teacher and "
            "this pool."
        )
        body = tables.confirmed(data.confirmation)
        label = f"{data.name}-confirmed"
        text += booktabs.table(caption=caption, label=label, header=tables.CONFIRMED, body=body)
        text += "\n"
    caption = (
        f"The best trials of the sweep by the {data.judged_by}, of {len(data.trials)}: "
        f"{data.states()}."
    )
    header, body = tables.best(data, tables.marks(data))
    return text + booktabs.table(
        caption=caption, label=f"{data.name}-trials", header=header, body=body
    )


def trials_csv(data: SweepData) -> str:
    """Return every trial in full as CSV."""
    rows = [
        {
            "trial": t.number,
            "state": t.state,
            "step": t.step,
            "probe": t.value,
            "validation": t.validation,
            **t.costs,
            **{column(name): value for name, value in t.params.items()},
            "cell": t.cell,
        }
        for t in data.trials
    ]
    # as objects: a whole number stays one in a column with gaps
    return str(pd.DataFrame(rows, dtype=object).to_csv(index=False, lineterminator="\n"))
