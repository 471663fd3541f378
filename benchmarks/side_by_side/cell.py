"""A step of one cell of `digits`: the platform's loop against a bare one, on one thread.

Both train the same student from the same start on the same batches, with dropping, features and
relations. The platform draws batches as it goes, sums up loss terms and can be resumed at each
step. Both have to reach the same weights, to the last bit. The sides take turns every few steps:
what slows this machine for a second slows both.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from benchmarks.measuring.bare import BareLoop
from benchmarks.measuring.digits import inputs_storage, recipe
from benchmarks.measuring.figures import Bench, Check, Figure, Found, quotient, seconds_of
from dfkd.experiment import Cell
from dfkd.models.teachers import weights_digest
from dfkd.seeding import Block, use_deterministic
from dfkd.training.distill import Run
from dfkd.training.inputs import load, obtain, score_here

ROUNDS, STEPS = 100, 6  # of each side and round
PLATFORM, HALF = "platform", "platform in bfloat16"
BARE, BESIDE = "bare loop", "bare loop, in turn with bfloat16"


def measure(bench: Bench) -> Found:
    use_deterministic(1)
    steps = bench.size(STEPS, 2)
    experiment = recipe(bench)
    schedule = replace(experiment.schedule, steps=steps * (bench.size(ROUNDS, 1) + 1))
    cell = Cell(experiment=replace(experiment, schedule=schedule), block=Block(seed=1))
    storage = inputs_storage(bench)
    source = obtain(cell, storage)
    score_here(source, storage)
    inputs = load(source, storage)
    loops: dict[str, Any] = {
        PLATFORM: Run(cell, inputs),
        BARE: BareLoop(cell, inputs),
        HALF: Run(cell, inputs, precision="bfloat16"),
        BESIDE: BareLoop(cell, inputs),
    }
    for loop in loops.values():
        loop.advance(steps)  # not timed: memory and kernels are prepared in first steps
    taken = dict[str, list[float]]()
    for pair in ((PLATFORM, BARE), (HALF, BESIDE)):  # apart: each leaves other things in caches
        sides = {name: _further(loops[name], steps) for name in pair}
        taken |= bench.in_turn(ROUNDS, sides, aloud=False)
    figures = [
        Figure(name=name, unit="ms a step", values=[1000 * s / steps for s in values])
        for name, values in taken.items()
    ]
    speeds = [
        quotient(f"speed: {PLATFORM} / {BARE}", taken[BARE], taken[PLATFORM]),
        quotient(f"speed: {HALF} / {BARE}", taken[BESIDE], taken[HALF]),
    ]
    return Found(figures=[*figures, *speeds], checks=_checks(loops))


def _further(loop: Any, steps: int) -> Callable[[], float]:
    return lambda: seconds_of(lambda: loop.advance(loop.step + steps))


def _checks(loops: dict[str, Any]) -> list[Check]:
    """The platform's student is the bare one's; the others learned as much."""
    student = loops[PLATFORM].objective.student.network
    equal = weights_digest(student.state_dict()) == loops[BARE].digest()
    steps = {loop.step for loop in loops.values()}
    probes = {
        name: loop.evaluate()["probe"] if isinstance(loop, Run) else loop.probe()
        for name, loop in loops.items()
    }
    apart = max(probes.values()) - min(probes.values())
    return [
        Check(claim="same steps", holds=len(steps) == 1, seen=f"{steps}"),
        Check(claim=f"{PLATFORM} and {BARE}: equal weights", holds=equal, seen="all bits"),
        Check(claim="probes within 0.1", holds=apart < 0.1, seen=f"{apart:.3f} apart"),
    ]
