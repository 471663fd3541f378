"""Prints what a study found, or what it would cost."""

from typing import Any

from dfkd.execution.compute import Compute
from dfkd.reporting.console import Console, duration
from dfkd.reporting.numbers import counted
from dfkd.storage import layout
from dfkd.studies import tables
from dfkd.studies.findings import Findings
from dfkd.studies.forecast import POWER, Forecast
from dfkd.studies.result import StudyResult
from dfkd.tracking import hint


def print_result(result: StudyResult, compute: Compute, console: Console) -> None:
    """Print the findings, how many cells were computed, and where all of it lies."""
    print_findings(result.findings, console)
    reused = int(result.outcomes["reused"].sum())
    others, ledger = result.elsewhere, len(result.outcomes) - result.computed
    console.line(
        f"{result.computed} cells computed, {ledger} from the ledger"
        + (f", {reused} of these computed by other work" if reused else "")
        + (f", {others} of these by another command meanwhile" if others else "")
    )
    call = {
        "computed": result.computed,
        "elsewhere": others,
        "reused": reused,
        "stopped": result.stopped,
    }
    console.document.put("call", call)
    folders = [compute.storage.address(key) for key in (layout.study(result.name), layout.CELLS)]
    console.document.wrote(*folders, result.page)
    if result.stopped:
        console.warn(f"{result.stopped}; the same command goes on")
    console.line(f"written to {compute.storage}: {layout.CELLS}/, {layout.study(result.name)}/")
    console.line(f"report:  {result.page}")
    for line in hint(compute.storage, compute.tracking_uri, layout.study(result.name)):
        console.line(line)


def print_forecast(forecast: Forecast, compute: Compute, console: Console) -> None:
    """Print what a study would cost and could find; every line says what it rests on."""
    console.document.put("forecast", forecast)
    missing = forecast.cells - forecast.done
    known = (
        ""
        if forecast.prepared
        else " (none is known here of this teacher and pool on such a machine)"
    )
    console.line(
        f"{forecast.cells} cells, {forecast.done} done already{known}, {missing} to compute"
    )
    if forecast.searches:
        console.line(
            f"before these: {forecast.searches} searches of {forecast.searched} cells at most, of "
            "which pruned trials are parts; what they choose is what the cells above are computed "
            "with"
        )
    if forecast.seconds is None or forecast.hours is None:
        console.line(
            "time: no finished cell of this size to judge by; the first block of a study tells"
        )
    elif missing or forecast.searches:
        kind = "GPU" if compute.gpus else "CPU"
        wall = duration(forecast.seconds / forecast.side_by_side)
        console.line(
            f"time: about {wall} with {forecast.side_by_side} at a time, {forecast.hours:.2g} "
            f"{kind} hours, by the median seconds of finished cells; start-up, teacher and scores "
            "not counted"
        )
    console.line(_detectable(forecast))


def _detectable(f: Forecast) -> str:
    power = f"{100 * POWER:.0f} % power"
    what = (
        f"{counted(f.blocks, 'block')} and {counted(f.comparisons, 'comparison')} find, with "
        f"{power}, a true difference of"
    )
    if f.sd is None:
        return (
            f"{what} {f.detectable:.1f} standard deviations of the paired differences; in points, "
            "where you can guess that deviation: --sd POINTS"
        )
    sd = f"an sd of the paired differences of {100 * f.sd:.1f} points, {f.sd_from}"
    return f"{what} {100 * f.detectable:.1f} points or more, by {sd}"


def values(findings: Findings) -> dict[str, Any]:
    """Return what a study found for --json. Accuracies and differences are fractions."""
    data = findings.data
    columns = ["variant", "block", "state", "value", "seconds", "cell", "reused"]
    return {
        "name": data.name,
        "question": data.question,
        "baseline": data.baseline,
        "variants": findings.summary.to_dict("records"),
        "comparisons": findings.comparisons,
        "effects": findings.effects,
        "cells": data.cells[columns].to_dict("records"),
        "conditions": [findings.varies, findings.conditions],
        "notes": list(findings.notes),
        "note": data.note,
    }


def print_findings(findings: Findings, console: Console) -> None:
    """Print the table of the study and what has to be known beside it."""
    data = findings.data
    console.document.add("studies", values(findings))
    title, header = f"{data.question} ({data.name})", tables.header(findings)
    console.table(title, header, tables.rows(findings), text=header[-1:])
    if findings.effects:
        rows = tables.effect_rows(findings.effects)
        title, mixed = "Effects, averaged over the other factors", tables.EFFECTS_HEADER[-1:]
        console.table(title, tables.EFFECTS_HEADER, rows, text=mixed)
    console.line(
        f"differences to the baseline, paired by block, in points of {data.measure}; p corrected "
        "by Holm"
    )
    console.line(f"{findings.varies}; {findings.conditions}")
    for line in (*findings.notes, *data.note.lines()):
        console.line(line)
