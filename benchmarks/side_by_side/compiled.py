"""A step with compiled passes (torch.compile) against the same step without, on one thread.

Three networks of growing cost, on noise in the place of images: what a step computes does not
depend on them. The first compiled pass is timed apart, with an empty cache of kernels.
"""

import os
from dataclasses import replace
from itertools import chain

from benchmarks.measuring.figures import Bench, Check, Figure, Found, quotient, seconds, seconds_of
from dfkd import recipes
from dfkd.experiment import Cell, Experiment
from dfkd.models.networks import SmallResNet
from dfkd.planning.timing import noise
from dfkd.seeding import Block, use_deterministic
from dfkd.training.distill import Run

ROUNDS, STEPS, ROWS = 7, 20, 2000
ALIKE = 0.01  # of the loss after all steps, as a share of it


def measure(bench: Bench) -> Found:
    use_deterministic(1)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(bench.folder / "kernels")
    found = [_measured(name, recipe, bench) for name, recipe in _recipes().items()]
    return Found(
        figures=list(chain.from_iterable(one.figures for one in found)),
        checks=list(chain.from_iterable(one.checks for one in found)),
    )


def _recipes() -> dict[str, Experiment]:
    digits, fashion = recipes.digits(), recipes.fashion()
    larger = replace(
        fashion, student=SmallResNet(width=16), schedule=replace(fashion.schedule, batch=128)
    )
    return {
        "16x16, 8 channels": digits,
        "28x28, 8 channels": fashion,
        "28x28, 16 channels, whole resolution": larger,
    }


def _measured(name: str, recipe: Experiment, bench: Bench) -> Found:
    steps = bench.size(STEPS, 2)
    schedule = replace(recipe.schedule, steps=steps * (bench.size(ROUNDS, 1) + 2))
    cell = Cell(experiment=replace(recipe, schedule=schedule), block=Block(seed=1))
    inputs = noise(recipe, ROWS)
    plain, compiled = Run(cell, inputs), Run(cell, inputs, compiled=True)
    first = seconds_of(lambda: compiled.advance(1))
    for run in (plain, compiled):
        run.advance(steps)
    sides = {
        f"{name}: {side}": lambda run=run: seconds_of(lambda: run.advance(run.step + steps))
        for side, run in (("as it is", plain), ("compiled", compiled))
    }
    taken = bench.in_turn(ROUNDS, sides)
    one, other = taken.values()
    off = _apart(plain, compiled)
    return Found(
        figures=[
            *(
                Figure(name=side, unit="ms a step", values=[1000 * s / steps for s in values])
                for side, values in taken.items()
            ),
            quotient(f"{name}: speed compiled / as it is", one, other),
            seconds(f"{name}: the first compiled pass", [first]),
        ],
        checks=[Check(claim=f"{name}: same loss", holds=off < ALIKE, seen=f"{off:.1e} apart")],
    )


def _apart(plain: Run, compiled: Run) -> float:
    """Return how far apart their losses were over all steps, as a share."""
    mine, other = (run.evaluate()["train.total"] for run in (plain, compiled))
    return abs(mine - other) / abs(mine)
