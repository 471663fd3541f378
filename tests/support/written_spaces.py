"""Search spaces that a test writes, and what their trials share."""

import importlib
from pathlib import Path

from dfkd.execution.compute import Compute
from dfkd.experiment import Cell
from dfkd.seeding import Block
from dfkd.storage import FolderStorage
from dfkd.sweeps.context import TrialContext
from dfkd.sweeps.search_space import SearchSpace
from dfkd.sweeps.sweep import SEARCH
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


def trial_context(module: str, text: str, folder: Path) -> TrialContext:
    """Write a space's module into a folder on the path; return what its trials share."""
    (folder / f"{module}.py").write_text(text)
    default = importlib.import_module(module).default
    cell = Cell(experiment=default, block=Block(seed=SEARCH))
    digests = {inputs_key(cell): ("teacher", "pool")}
    return TrialContext(
        space=SearchSpace(module=module),
        block=cell.block,
        run_context=RunContext(environment=this_environment("cpu"), digests=digests),
        compute=Compute(storage=FolderStorage(folder / "runs")),
    )
