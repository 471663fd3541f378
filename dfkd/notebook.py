"""Studies and sweeps from Python, in a notebook say: the runs and reports of the commands.

from dfkd import run_study
result = run_study("ablations.components", blocks=5, cpus=2)
result                        # the report's table
result.effects                # a pandas frame: differences to the baseline, as fractions
result.outcomes               # one row per cell
result.figures()["effects"]   # a matplotlib figure
"""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd

from dfkd.execution.compute import Compute
from dfkd.reporting.console import Console
from dfkd.reporting.page import listed, plain_table
from dfkd.reporting.shell import command
from dfkd.reporting.style import Plot
from dfkd.storage import layout
from dfkd.storage.opening import chosen_storage
from dfkd.studies import Study
from dfkd.studies.driver import StudyOptions
from dfkd.studies.driver import run_study as run_in_session
from dfkd.studies.result import StudyResult
from dfkd.sweeps import tables
from dfkd.sweeps.findings import SweepData, column, verdict
from dfkd.sweeps.sweep import Sweep
from dfkd.user_modules import load_a


def run_study(
    study: Study | str,
    *,
    name: str | None = None,
    blocks: int | None = None,
    options: StudyOptions | None = None,
    storage: str | Path | None = None,
    quiet: bool = False,
    **compute: Any,
) -> StudyResult:
    """Run a study, and return what it says. What the storage has already is not computed again.

    study: its module's name, or a value, which needs a name. storage: a folder; None: that of
    $DFKD_STORAGE, else ./runs. compute: fields of `Compute`, such as cpus or gpus. Raises
    ValueError for input that cannot work.
    """
    options = options or StudyOptions()
    if isinstance(study, str):
        module, study = study, load_a(Study, study, "study", "ablations")
        asked = {"blocks": blocks or study.blocks, "race": options.race}
        if name is None:
            name = module.split(".")[-1]
            options = replace(options, command=command("ablate", module, asked, {}))
    if not name:
        raise ValueError("a study that is not a module needs a name: run_study(study, name=...)")
    if blocks is not None:
        study = replace(study, blocks=blocks)
    console, where = Console(quiet=quiet), _compute(storage, compute)
    result = run_in_session(name, study, where, console, options)
    console.line(f"report:  {result.page}")
    return result


@dataclass(frozen=True, kw_only=True, repr=False)
class SweepResult:
    """What a sweep found. data: all of it. page: the report. A notebook shows the best trials."""

    data: SweepData
    page: Path

    @property
    def trials(self) -> pd.DataFrame:
        """Return one row per trial with its parameters, probe and state, the best first."""
        rows = [
            {"trial": t.number, "state": t.state, "probe": t.value}
            | {column(name): value for name, value in t.params.items()}
            | {"cell": t.cell}
            for t in self.data.trials
        ]
        return pd.DataFrame(rows).sort_values("probe", ascending=False, ignore_index=True)

    def figures(self) -> dict[str, Plot]:
        """Return the figures that the trials allow, by name."""
        from dfkd.sweeps.figures import figures

        return figures(self.data)

    def __repr__(self) -> str:
        return f"SweepResult({self.data.name}: {len(self.data.trials)} trials, {self.page})"

    def _repr_html_(self) -> str:
        said = verdict(self.data.confirmation) if self.data.confirmation else []
        best = plain_table(*tables.best(self.data, tables.marks(self.data)))
        return best + listed([*said, f"report: {self.page}"])


def run_sweep(
    sweep: Sweep | str,
    *,
    trials: int | None = None,
    storage: str | Path | None = None,
    quiet: bool = False,
    **compute: Any,
) -> SweepResult:
    """Run a sweep, and return what it found. What the storage has already is not computed again.

    sweep: a value, or the name of its space's module. trials: in all, instead of the sweep's own
    number. storage, compute: as for `run_study`. Raises ValueError for input that cannot work.
    """
    from dfkd.sweeps.driver import run_sweep  # Optuna takes seconds to import

    sweep = Sweep(space=sweep) if isinstance(sweep, str) else sweep
    if trials is not None:
        sweep = replace(sweep, trials=trials)
    console, where = Console(quiet=quiet), _compute(storage, compute)
    data = run_sweep(sweep, where, console)
    page = where.storage.local(layout.sweep(data.name) / layout.REPORT / layout.PAGE)
    console.line(f"report:  {page}")
    return SweepResult(data=data, page=page)


def _compute(storage: str | Path | None, given: dict[str, Any]) -> Compute:
    known = [field.name for field in fields(Compute)]
    for name in given:
        if name not in known:
            raise ValueError(
                f"there is no argument {name!r}: of the computer there are {', '.join(known)}; "
                "what is computed stands in the study or sweep itself"
            )
    return Compute(storage=chosen_storage(storage), **given)
