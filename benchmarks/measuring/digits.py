"""The recipe `digits` as the workloads use it, with its teacher, pool and scores."""

from dataclasses import replace

from benchmarks.measuring.figures import Bench
from dfkd import recipes
from dfkd.data.pools import Glyphs
from dfkd.experiment import Experiment
from dfkd.models.networks import SmallResNet
from dfkd.models.teachers import SupervisedTeacher
from dfkd.storage import Storage, open_storage

INPUTS = "digits"  # the storage below a call's folder in which they lie


def recipe(bench: Bench) -> Experiment:
    """Return the recipe; for a quick call with fewer steps, and a small pool and teacher."""
    full = recipes.digits()
    if not bench.quick:
        return full
    return replace(
        full,
        pool=Glyphs(rows=800),
        teacher=SupervisedTeacher(network=SmallResNet(width=8, stem_stride=2), steps=30),
        schedule=replace(full.schedule, steps=12),
    )


def inputs_storage(bench: Bench) -> Storage:
    """Return the storage that has teacher, pool and scores once they were asked for."""
    return open_storage(bench.folder / INPUTS)
