"""The report of a sweep: one HTML page that needs nothing but itself, and the same in Markdown,
LaTeX, CSV and SVG.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from dfkd.reporting import latex as booktabs
from dfkd.reporting.latex import NEEDS
from dfkd.reporting.markdown import markdown_table
from dfkd.reporting.numbers import interval, percent, points
from dfkd.reporting.page import figure, folded, head, listed, page, plain_table, section
from dfkd.reporting.report_files import write_report_files
from dfkd.reporting.style import svg
from dfkd.storage import Storage, layout
from dfkd.sweeps import figures as sweep_plots
from dfkd.sweeps.findings import SHOWN, SweepData, short, verdict

TITLES = {
    "confirmation": "Winner against default, on fresh blocks",
    "history": "History of the search",
    "importance": "Importance of the parameters",
    "slices": "Slices",
    "parallel": "Parallel coordinates",
    "trust": "What the probe is worth",
    "curves": "The probe over the steps",
}
MARKS = (
    "Filled: finished; hollow: stopped by the search, at the probe it had then; cross: diverged."
)
READING = {
    "confirmation": "Left: test accuracy in each block, of both; right: the mean paired "
    "difference with its 95 % "
    "t-interval. Nothing was chosen on these blocks, so the winner's luck in the search is not in "
    "them.",
    "history": MARKS,
    "importance": "fANOVA by Optuna, on the probe of all trials at the same step. It says what "
    "moved the probe within "
    "this space and these trials, not what helps.",
    "slices": MARKS
    + " The search asks more often where it was good: dense parts are no evidence by themselves.",
    "parallel": "A line a trial, each parameter on its own axis; grey: stopped early or diverged.",
    "trust": "The search saw the probe only; validation labels are looked at here, after the fact.",
    "curves": "Blue: finished; grey: stopped or diverged; black: the winner, or the default "
    "where it won.",
}
HEADER = ("what", "test %", "n", "difference", "95 % interval")


def write_report(data: SweepData, storage: Storage) -> tuple[dict[str, Path | str], bool]:
    """Write the report's files. Returns them by their names in MLflow, and whether any had to be
    written anew.
    """
    return write_report_files(storage / layout.sweep(data.name) / layout.REPORT, written(data))


def written(data: SweepData) -> dict[str, str]:
    """File name -> content."""
    drawn = {name: svg(drawing) for name, drawing in sweep_plots.figures(data).items()}
    return {
        layout.PAGE: html(data, drawn),
        "report.md": markdown(data),
        "table.tex": latex(data),
        "trials.csv": trials_csv(data),
        **{f"{name}.svg": f"{drawing}\n" for name, drawing in drawn.items()},
    }


def html(data: SweepData, drawn: dict[str, str]) -> str:
    figures = (
        section(TITLES[name], figure(TITLES[name], drawing, conclusion(name, data), READING[name]))
        for name, drawing in drawn.items()
    )
    first, *others = list(figures) or [""]
    parts = [
        head(f"Sweep {data.name}", *said(data), facts(data)),
        first if "confirmation" in drawn else "",
        section("Best trials, by the probe", plain_table(*best(data))),
        "" if "confirmation" in drawn else first,
        *others,
        section(
            "All trials", folded(f"{len(data.trials)} trials", plain_table(*_all(data), "cells"))
        ),
        section("Provenance", plain_table(("what", "value"), _provenance(data), "text")),
        section("How to read this", listed(_reading())),
    ]
    return page(f"sweep {data.name}", parts)


def said(data: SweepData) -> tuple[str, str]:
    """Title and result in a sentence."""
    title = f"Which settings of {', '.join(data.scales) or 'the recipe'}?"
    if data.confirmation is None:
        return title, f"The search is under way: {data.states()}; nothing is confirmed yet."
    *_, first = [
        line
        for line in verdict(data.confirmation)
        if not line.startswith(("winner:", "conditional"))
    ]
    return title, f"{first[0].upper()}{first[1:]}."


def facts(data: SweepData) -> list[str]:
    """What a reader has to know before the numbers."""
    lines = [f"{len(data.trials)} trials: {data.states()}"]
    if data.confirmation is not None:
        lines += [line for line in verdict(data.confirmation) if line.startswith("winner:")]
        lines.append("searched, chosen and confirmed on three sets of blocks that share nothing")
    lines.append(
        "the search saw the probe only: agreement with the teacher on pool rows that no selection "
        "may choose"
    )
    lines.append("conclusions are conditional on this teacher and this pool")
    if data.correlation is not None:
        lines.append(
            f"rank correlation of probe and validation accuracy over the trials: "
            f"{data.correlation:.2f}"
        )
    if data.importance is None:
        lines.append(
            "too few trials reached one step, or their probe did not vary, to say what was "
            "important"
        )
    return lines


def conclusion(name: str, data: SweepData) -> str:
    """From the numbers, what a figure says."""
    if name == "confirmation" and data.confirmation is not None:
        found, n = data.confirmation.difference(), len(data.confirmation.winner_test)
        return f"{points(found.mean)} points ({interval(found.low, found.high)}), {n} blocks."
    if name == "history" and data.best_so_far():
        best = data.finished()[0]
        return (
            f"The best probe, {short(best.value)}, came with trial {best.number} of "
            f"{len(data.trials)}."
        )
    if name == "importance" and data.importance is not None:
        largest, share = next(iter(data.importance.shares.items()))
        few = (
            " Few trials: a hint at most."
            if data.importance.trials < 5 * len(data.importance.shares)
            else ""
        )
        return f"{largest} explains most, {100 * share:.0f} %.{few}"
    if name == "trust" and data.correlation is not None:
        return f"Rank correlation {data.correlation:.2f}."
    return ""


def best(data: SweepData) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the best trials that finished."""
    header = ["trial", "probe", "validation", *data.scales]
    winner = data.winner()
    mark = {data.trials[0].number: " (default)"} | ({winner.number: " (winner)"} if winner else {})
    body = [
        [
            f"{t.number}{mark.get(t.number, '')}",
            short(t.value),
            "" if t.validation is None else short(t.validation),
        ]
        + [short(t.params[name]) if name in t.params else "" for name in data.scales]
        for t in data.finished()[:SHOWN]
    ]
    return header, body


def confirmed(data: SweepData) -> list[list[str]]:
    """Rows of HEADER; none while nothing is confirmed."""
    found = data.confirmation
    if found is None:
        return []
    n = str(len(found.default_test))
    default = ["default", percent(sum(found.default_test) / len(found.default_test)), n, "", ""]
    if not found.winner:
        return [default]
    between = found.difference()
    winner = percent(sum(found.winner_test) / len(found.winner_test))
    return [
        default,
        ["winner", winner, n, points(between.mean), interval(between.low, between.high)],
    ]


def _all(data: SweepData) -> tuple[list[str], list[list[str]]]:
    header = ["trial", "state", "step", "probe", *data.scales, "cell"]
    body = [
        [str(t.number), t.state, str(t.step), "" if t.value is None else short(t.value)]
        + [short(t.params[name]) if name in t.params else "" for name in data.scales]
        + [t.cell]
        for t in data.trials
    ]
    return header, body


def _provenance(data: SweepData) -> list[tuple[str, str]]:
    return [(name, ", ".join(values)) for name, values in data.provenance.items()]


def _reading() -> tuple[str, ...]:
    return (
        "Search, choice and confirmation: the search ranks trials by the probe on one block; the "
        "best three are run "
        "again on fresh blocks, because the best of many carries the luck of its block; what is "
        "best there is compared "
        "with the default on blocks of its own. Only these read the test set.",
        "optuna.log beside this report opens in optuna-dashboard, with Optuna's own plots of the "
        "same trials.",
        "A trial's cell can be looked at and computed again by its name: python -m platform.show "
        "CELL.",
    )


def markdown(data: SweepData) -> str:
    title, lead = said(data)
    lines = [f"## {title}", "", lead, ""]
    if data.confirmation is not None:
        lines += [*markdown_table(HEADER, confirmed(data)), ""]
    lines += ["Best trials, by the probe:", "", *markdown_table(*best(data)), ""]
    if data.importance is not None:
        shares = [[name, f"{100 * share:.0f}"] for name, share in data.importance.shares.items()]
        lines += [
            f"{READING['importance']}",
            "",
            *markdown_table(("parameter", "share %"), shares),
            "",
        ]
    lines += [f"- {fact}" for fact in facts(data)]
    lines += [f"- {name}: {values}" for name, values in _provenance(data)]
    return "\n".join(lines) + "\n"


def latex(data: SweepData) -> str:
    r"""Tables for a paper; they need \usepackage{booktabs}."""
    header, body = best(data)
    text = NEEDS
    if data.confirmation is not None:
        caption = (
            "Test accuracy of the sweep's winner and of the default in per cent, paired "
            "over fresh blocks; "
        )
        caption += (
            "difference in points with its t-interval; conditional on this teacher and this pool."
        )
        text += (
            booktabs.table(
                caption=caption, label=f"{data.name}-confirmed", header=HEADER, body=confirmed(data)
            )
            + "\n"
        )
    caption = f"The best trials of the sweep by the probe, of {len(data.trials)}: {data.states()}."
    return text + booktabs.table(
        caption=caption, label=f"{data.name}-trials", header=header, body=body
    )


def trials_csv(data: SweepData) -> str:
    """Every trial in full."""
    rows = [
        {
            "trial": t.number,
            "state": t.state,
            "step": t.step,
            "probe": t.value,
            "validation": t.validation,
            **t.params,
            "cell": t.cell,
        }
        for t in data.trials
    ]
    return str(pd.DataFrame(rows).to_csv(index=False, lineterminator="\n"))
