"""Studies and sweeps from Python, in a notebook say: the same runs, records and reports as from the
commands.

from dfkd.notebook import run_study
result = run_study("ablations.components", blocks=5)
result.effects                # a pandas frame: differences to the baseline, intervals, p-values,
verdicts result.outcomes               # one row per cell
result.figures()["effects"]   # a matplotlib figure
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from dfkd.execution.compute import Compute
from dfkd.reporting.console import Console
from dfkd.storage import open_storage
from dfkd.studies import Study
from dfkd.studies.driver import StudyOptions
from dfkd.studies.driver import run_study as run_in_session
from dfkd.studies.result import StudyResult
from dfkd.user_modules import load


def run_study(
    study: Study | str,
    *,
    name: str | None = None,
    blocks: int | None = None,
    options: StudyOptions | None = None,
    storage: str | Path = "runs",
    quiet: bool = False,
    **compute: Any,
) -> StudyResult:
    """A study by its module's name, or as a value with a name. `compute`: fields of `Compute`, such
    as cpus or gpus.

    What the storage has already is not computed again. ValueError for input that cannot work.
    """
    if isinstance(study, str):
        name = name or study.split(".")[-1]
        study = load(study, "study", "ablations")
        assert isinstance(study, Study)
    if not name:
        raise ValueError("a study that is not a module needs a name: run_study(study, name=...)")
    if blocks is not None:
        study = replace(study, blocks=blocks)
    return run_in_session(
        name, study, _where(storage, compute), Console(quiet=quiet), options or StudyOptions()
    )


def run_sweep(
    space: str,
    *,
    storage: str | Path = "runs",
    quiet: bool = False,
    compute: dict[str, Any] | None = None,
    **sweep: Any,
) -> pd.DataFrame:
    """A sweep over a module's space: one row per trial with its parameters, probe and state, the
    best first.

    `sweep`: fields of `Sweep`, such as trials or seed. The confirmed comparison of winner and
    default lies in
    `frame.attrs`: "winner", "winner_test", "default_test", "difference" (mean, low, high).
    """
    from dfkd.sweeps.driver import run_sweep  # Ray takes seconds to import
    from dfkd.sweeps.sweep import Sweep

    found = run_sweep(
        Sweep(space=space, **sweep), _where(storage, compute or {}), Console(quiet=quiet)
    )
    confirmed = found.confirmation
    assert confirmed is not None  # a sweep that returns is confirmed
    difference = confirmed.difference()
    rows = [
        {"trial": t.number, "state": t.state, "probe": t.value, **t.params, "cell": t.cell}
        for t in found.trials
    ]
    frame = pd.DataFrame(rows).sort_values("probe", ascending=False, ignore_index=True)
    frame.attrs = {
        "winner": confirmed.winner,
        "winner_test": list(confirmed.winner_test),
        "default_test": list(confirmed.default_test),
        "difference": (difference.mean, difference.low, difference.high),
    }
    return frame


def _where(storage: str | Path, compute: dict[str, Any]) -> Compute:
    return Compute(storage=open_storage(storage), **compute)
