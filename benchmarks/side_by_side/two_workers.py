"""Cells on two Train workers: in the platform's group that stays, and a `TorchTrainer` for each.

Cells take two steps, so that what is timed is what a cell costs beside its training: its start on
both workers, evaluation, test set and ledger. The start of the group is in its first cell's time.
Ray's guide has a `TorchTrainer.fit()` for each student.
"""

import time
from dataclasses import replace
from itertools import pairwise

from benchmarks.measuring.digits import inputs_storage, recipe
from benchmarks.measuring.figures import Bench, Check, Figure, Found, say, seconds
from benchmarks.measuring.ray_way import train_on_workers
from dfkd.execution.compute import Compute
from dfkd.execution.ray_executor import ray_executor
from dfkd.execution.session import session
from dfkd.experiment import Cell
from dfkd.reporting.console import Console
from dfkd.seeding import Block, use_deterministic
from dfkd.storage import open_storage
from dfkd.training.inputs import Inputs

CELLS, FITS, STEPS, WORKERS = 10, 2, 2, 2
FIRST, FURTHER = "platform, the first cell", "platform, a further cell"
RAY = "Ray's guide, a TorchTrainer"


def measure(bench: Bench) -> Found:
    use_deterministic(1)
    schedule = replace(recipe(bench).schedule, steps=STEPS, evaluations=1)
    experiment = replace(recipe(bench), schedule=schedule)
    cells = [
        Cell(experiment=experiment, block=Block(seed=seed)) for seed in range(bench.size(CELLS, 3))
    ]
    where = Compute(storage=inputs_storage(bench), workers=WORKERS, concurrency=1)
    taken, inputs, reached = in_a_group(bench, cells, where)
    fits = list[float]()
    with session(where):  # another one: the group holds its processors until its session ends
        for index in bench.rounds(FITS):
            started = time.perf_counter()
            reached.add(train_on_workers(cells[index], inputs, WORKERS, bench.folder / "train"))
            fits.append(time.perf_counter() - started)
            say(f"  {RAY}: {fits[-1]:.3g} s")
    figures = [seconds(FIRST, taken[:1]), seconds(FURTHER, taken[1:]), seconds(RAY, fits)]
    faster = figures[2].median / figures[1].median
    ratio = Figure(
        name=f"speed: {FURTHER} / {RAY}", unit="ratio", values=[faster], more_is_better=True
    )
    check = Check(claim="same steps", holds=reached == {STEPS}, seen=f"{reached}")
    return Found(figures=[*figures, ratio], checks=[check])


def in_a_group(
    bench: Bench, cells: list[Cell], where: Compute
) -> tuple[list[float], Inputs, set[int]]:
    """Compute the cells one after the other; return the seconds of each, their inputs and steps."""
    with ray_executor(cells, where, Console(quiet=True)) as executor:
        inputs = executor.inputs(cells[0]).open()
        apart = executor.apart(open_storage(bench.folder / "two-workers"))
        jobs = [executor.run_context.job(cell, read_test=True) for cell in cells]
        ends = [time.perf_counter()]
        done, _ = apart.compute("cells", jobs, lambda _: ends.append(time.perf_counter()))
    taken = [end - start for start, end in pairwise(ends)]
    say(f"  {FIRST}: {taken[0]:.3g} s, then {', '.join(f'{s:.2g}' for s in taken[1:])} s")
    return taken, inputs, {outcome.step for outcome in done.values()}
