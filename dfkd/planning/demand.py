"""What a study or a sweep asks for: cells in phases, and what the storage has of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from dfkd.execution.compute import Compute
from dfkd.experiment import Cell, Experiment
from dfkd.storage import layout
from dfkd.studies import Study
from dfkd.studies.forecast import known_cells
from dfkd.sweeps import record
from dfkd.sweeps.choosing import CANDIDATES
from dfkd.sweeps.journal import Journal
from dfkd.sweeps.rehearsal import rehearse
from dfkd.sweeps.sweep import Sweep
from dfkd.training.inputs import inputs_key


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Cells that are computed before the next phase begins. left: those that are missing."""

    name: str
    cells: int
    left: Sequence[Experiment]


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What is asked. inputs: one cell for each teacher and pool that have to be in place."""

    name: str
    kind: str
    phases: Sequence[Phase]
    inputs: Sequence[Cell]

    @property
    def cells(self) -> int:
        return sum(phase.cells for phase in self.phases)

    @property
    def left(self) -> list[Experiment]:
        """The experiments of all cells that are missing."""
        return [experiment for phase in self.phases for experiment in phase.left]


def of_study(name: str, study: Study, compute: Compute, anew: bool) -> Demand:
    """Return what a study asks for. anew: as if the storage had nothing of it."""
    cells = study.cells()
    done = set[tuple[str, int]]() if anew else known_cells(name, study, compute).done
    left = [cell.experiment for at, cell in cells.items() if at not in done]
    distinct = {inputs_key(cell): cell for cell in cells.values()}
    phase = Phase(name="cells", cells=len(cells), left=left)
    return Demand(name=name, kind="study", phases=[phase], inputs=list(distinct.values()))


def of_sweep(sweep: Sweep, compute: Compute, anew: bool) -> Demand:
    """Return what a sweep asks for at most: trials that are stopped early are parts of cells.

    Each is counted as the default. What is there of choice and confirmation is known only when
    all of it is.
    """
    name, default, storage = sweep.name(), sweep.default(), compute.storage
    rehearse(sweep.search_space().ask, sweep.first_cell())
    ended, rest = 0, True
    if not anew:
        ended = sum(trial.ended for trial in Journal(storage, layout.sweep(name)).read())
        call = (sweep.trials, sweep.confirmation_blocks)
        rest = record.read_result(storage, name, *call) is None
    counts = {
        "trials": (sweep.trials, max(0, sweep.trials - ended)),
        "choice": (n := CANDIDATES * sweep.choice_blocks, n * rest),
        "confirmation": (m := 2 * sweep.confirmation_blocks, m * rest),
    }
    phases = [Phase(name=p, cells=n, left=[default] * left) for p, (n, left) in counts.items()]
    return Demand(name=name, kind="sweep", phases=phases, inputs=[sweep.first_cell()])
