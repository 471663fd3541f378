"""Search spaces that a test writes, what their trials share, and searches without workers."""

import importlib
from pathlib import Path
from typing import Any

from dfkd.execution.compute import Compute
from dfkd.experiment import Cell
from dfkd.identity import Scalar
from dfkd.seeding import Block
from dfkd.storage import FolderStorage
from dfkd.storage.layout import Key
from dfkd.sweeps.context import TrialContext
from dfkd.sweeps.journal import Journal
from dfkd.sweeps.options import SearchOptions
from dfkd.sweeps.search import SweepSearch
from dfkd.sweeps.search_space import SearchSpace
from dfkd.sweeps.sweep import SEARCH
from dfkd.sweeps.trials import trial_in
from dfkd.training.environment import this_environment
from dfkd.training.inputs import inputs_key
from dfkd.training.jobs import RunContext

HEAD = """
from dataclasses import replace
import optuna
from dfkd import choose
from dfkd.experiment.recipes import digits
from dfkd.method.losses import RKD, Similarity
from dfkd.method.selection import Balanced, Random
default = digits()  # Balanced(ratio=0.1), a batch of 64
def with_batch(batch):
    return replace(default, schedule=replace(default.schedule, batch=batch))
def with_ratio(ratio):
    return replace(default, selection=Balanced(ratio=ratio))
def space(trial):
"""


FOLDER = Key("sweeps/made")


def trial_context(module: str, storage: FolderStorage) -> TrialContext:
    """Return what the trials of the space in a module share."""
    default = importlib.import_module(module).default
    cell = Cell(experiment=default, block=Block(seed=SEARCH))
    digests = {inputs_key(cell): ("teacher", "pool")}
    return TrialContext(
        space=SearchSpace(module=module),
        block=cell.block,
        run_context=RunContext(environment=this_environment("cpu"), digests=digests),
        compute=Compute(storage=storage),
    )


def journal_of(context: TrialContext) -> Journal:
    return Journal(context.compute.storage, FOLDER)


def view_of(context: TrialContext) -> Path:
    return context.compute.storage.local(FOLDER / "optuna.log")


def search_of(context: TrialContext, trials: int = 6, **options: Any) -> SweepSearch:
    asked = SearchOptions(trials=trials, **options)
    return SweepSearch(context, journal_of(context), view_of(context), asked)


def drawn(search: SweepSearch, name: str) -> dict[str, Scalar] | None:
    """The parameters that the search suggests to a trial of Tune's; None for none yet."""
    config = search.suggest(name)
    return None if config is None else dict(trial_in(config).params)


def ended(
    value: float, evaluation: int = 6, state: str = "finished", **costs: float
) -> dict[str, Any]:
    """What a trial tells Tune at its end."""
    point = {"point/step": 33.0 * evaluation, "point/probe": value}
    told = {"probe": value, "state": state, "training_iteration": evaluation, "time_total_s": 1.0}
    return told | point | costs
