"""Sweeps as records: what a sweep's folder and the ledger hold, read without its space's module.

As text a sweep is an artifact of its run in MLflow: from there the same page can be made without
folder and ledger.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from dfkd.identity import Scalar
from dfkd.stats.summaries import rank_correlation
from dfkd.storage import Storage, layout
from dfkd.storage.layout import Key
from dfkd.storage.ledger import Ledger
from dfkd.storage.notes import parsed, read_note
from dfkd.storage.outcome import ENDED, Outcome, now, period
from dfkd.sweeps.findings import SHOWN, Confirmation, Importance, SweepData, column
from dfkd.sweeps.journal import Journal
from dfkd.sweeps.optuna_view import importance, read_view, scales
from dfkd.sweeps.trial import Trial, best_first
from dfkd.tracking.reading import Tracked
from dfkd.training.jobs import RunContext

RECORD = "sweep.json"  # the whole sweep, as an artifact of its run in MLflow
USUAL: dict[str, Any] = {
    "has_default": True,
    "is_default": False,
    "winner_trial": None,
    "costs": {},
}


def recorded(storage: Storage) -> list[str]:
    """Return the names of all sweeps that have begun, in order."""
    names = storage.list(layout.SWEEPS)
    return [name for name in names if storage.exists(layout.sweep(name) / layout.TRIALS)]


def read(storage: Storage, name: str, call: tuple[int, int] | None = None) -> SweepData:
    """Return the sweep as far as it has come, or as a call with (trials, blocks) found it.

    Raises ValueError where it has no trial yet.
    """
    ledger, journal = Ledger(storage), Journal(storage, layout.sweep(name)).read()
    saved = read_result(storage, name, *call) if call else _latest_result(storage, name, journal)
    found = trials_of(saved) if saved else journal
    if not found:
        raise ValueError(f"the sweep {name} has no trial yet: run it first")
    outcomes = [ledger.read(trial.cell) for trial in found]
    trials = tuple(map(with_curve, found, outcomes))
    view = layout.sweep(name) / layout.OPTUNA_LOG
    seen = read_view(storage.local(view)) if storage.exists(view) else {}
    return SweepData(
        name=name,
        trials=trials,
        scales=scales(trials, seen),
        importance=importance(trials, seen),
        correlation=correlation_of(trials),
        confirmation=_confirmation(saved["result"]) if saved else None,
        provenance=_provenance(saved, outcomes) if saved else {},
        has_default=_is_default(trials[0], ledger),
        note=read_note(storage, layout.sweep(name)),
    )


def _is_default(first: Trial, ledger: Ledger) -> bool:
    """Return whether the first trial is the default.

    In older records it is that only where its parameters have the names of the experiment's own.
    """
    outcome = None if first.is_default else ledger.read(first.cell)
    return outcome is None or all(outcome.params.get(n) == v for n, v in first.params.items())


def with_curve(trial: Trial, outcome: Outcome | None) -> Trial:
    """Return the trial with its cell's curve, up to the step at which the search saw it last.

    outcome: of its cell, which may have gone further since, for another search.
    """
    points = [p for p in outcome.points if p["step"] <= trial.step] if outcome else []
    return replace(
        trial,
        validation=points[-1].get("validation") if points else None,
        points={int(p["step"]): p[trial.measure] for p in points if trial.measure in p},
    )


def correlation_of(trials: Iterable[Trial]) -> float | None:
    """Return Spearman's correlation of probe and validation, at each trial's last step.

    None where fewer than three trials have both, or one of the two is constant.
    """
    pairs = [
        (t.value, t.validation) for t in trials if t.value is not None and t.validation is not None
    ]
    if len(pairs) < 3:
        return None
    found = rank_correlation(*zip(*pairs, strict=True))
    return None if math.isnan(found) else found


# ---- the file that says how a call ended: result-<trials>-<blocks>.json


def write_result(
    storage: Storage,
    name: str,
    trials: Sequence[Trial],
    confirmation: Confirmation,
    run_context: RunContext,
    seconds: float,
    cells: Iterable[str] = (),
    command: str = "",
) -> None:
    """Write down how a call ended, and when. The trials come with their curves.

    cells: those in which the winner was chosen and confirmed. command: that asks for the sweep.
    """
    correlation = correlation_of(trials)
    result = {
        "name": name,
        "trials": [trial.record() for trial in trials],
        "correlation": math.nan if correlation is None else correlation,
        "best": best_rows(trials),
        **asdict(confirmation),
        "seconds": seconds,
    }
    key = _result_key(name, len(trials), len(confirmation.default_test))
    saved = {
        "setting": run_context.saved(),
        "result": result,
        "cells": sorted(cells),
        "command": command,
        ENDED: now(),
    }
    storage.write_json(key, saved)


def best_rows(trials: Iterable[Trial]) -> list[dict[str, Scalar]]:
    """Return the best trials as rows of a table: number, probe, validation and parameters."""
    return [
        {
            "trial": trial.number,
            "probe": trial.value or 0.0,
            "validation": math.nan if trial.validation is None else trial.validation,
            **trial.costs,
            **{column(name): value for name, value in trial.params.items()},
        }
        for trial in best_first(trials)[:SHOWN]
    ]


def read_result(storage: Storage, name: str, trials: int, blocks: int) -> dict[str, Any] | None:
    """Return what `write_result` wrote of a call with so many trials and blocks, if it ended."""
    key = _result_key(name, trials, blocks)
    if not storage.exists(key):
        return None
    saved: dict[str, Any] = storage.read_json(key)
    return saved


def trials_of(saved: Mapping[str, Any]) -> list[Trial]:
    """Return the trials in a result's file, without their curves."""
    return [Trial(**record) for record in saved["result"]["trials"]]


def _result_key(name: str, trials: int, blocks: int) -> Key:
    return layout.sweep(name) / layout.sweep_result(trials, blocks)


def _latest_result(storage: Storage, name: str, journal: Sequence[Trial]) -> dict[str, Any] | None:
    """Return the result with the most trials, then the most blocks; None while none has ended.

    A trial of which the journal has another cell by now was run again, with other code: results
    with such trials say what is no longer so.
    """
    calls = [
        (int(match[1]), int(match[2]))
        for file in storage.list(layout.sweep(name))
        if (match := layout.RESULT.fullmatch(file))
    ]
    now = {trial.number: trial.cell for trial in journal}
    for call in sorted(calls, reverse=True):
        saved = read_result(storage, name, *call)
        if saved and all(now.get(t.number, t.cell) == t.cell for t in trials_of(saved)):
            return saved
    return None


def _confirmation(result: Mapping[str, Any]) -> Confirmation:
    return Confirmation(
        winner=result["winner"],
        winner_test=tuple(result["winner_test"]),
        default_test=tuple(result["default_test"]),
        winner_trial=result.get("winner_trial"),
    )


def _provenance(
    saved: Mapping[str, Any], trials: Iterable[Outcome | None]
) -> dict[str, tuple[str, ...]]:
    """Return facts about a call that ended: a pruned trial may go further, and is not dated."""
    run_context, digests = saved["setting"], list(saved["setting"]["digests"].values())
    ends = [o.tags.get(ENDED) for o in trials if o is not None and o.final]
    dated = {"command": saved.get("command"), "computed": period([*ends, saved.get(ENDED)])}
    facts = {
        **{name: {fact} for name, fact in dated.items() if fact},
        "teacher": {teacher for teacher, _ in digests},
        "pool": {pool for _, pool in digests},
        "commit": {run_context["tags"].get("git_commit") or "not recorded"},
        **{name: {str(value)} for name, value in run_context["environment"].items()},
    }
    return {name: tuple(sorted(values)) for name, values in facts.items()}


# ---- the text that MLflow keeps: sweep.json


def from_mlflow(tracked: Tracked, name: str) -> SweepData:
    """Return the sweep as `read` gave it at the end of its last call.

    Raises ValueError where MLflow has no such sweep.
    """
    note = parsed(tracked.record("sweep", name, layout.NOTE, needed=False))
    return replace(parse(tracked.record("sweep", name, RECORD)), note=note)


def text(data: SweepData) -> str:
    """Return the sweep as JSON, for `parse`; its note is a file of its own."""
    facts = asdict(data)
    del facts["note"]
    for part in (facts, *facts["trials"], facts["confirmation"] or {}):
        for name, usual in USUAL.items():  # older records do without these
            if name in part and part[name] == usual:
                del part[name]
    return json.dumps(facts, indent=1) + "\n"


def parse(text: str) -> SweepData:
    """Return the sweep that `text` wrote."""
    facts = json.loads(text)
    for trial in facts["trials"]:
        trial["points"] = {int(step): probe for step, probe in trial["points"].items()}
    found, saved = facts["importance"], facts["confirmation"]
    provenance = {name: tuple(values) for name, values in facts["provenance"].items()}
    return SweepData(
        name=facts["name"],
        trials=tuple(Trial(**trial) for trial in facts["trials"]),
        scales=facts["scales"],
        importance=Importance(**found) if found else None,
        correlation=facts["correlation"],
        confirmation=_confirmation(saved) if saved else None,
        provenance=provenance,
        has_default=facts.get("has_default", True),
    )
