"""A pool of real images beside images that a generator makes from the teacher: accuracy and cost.

    python -m benchmarks.generator [--recipe digits] [--blocks 6] [--storage runs]

Each block has a seed, a draw (of the pool and of the synthesis) and a teacher of its own, none of
which tuning has seen. All students take the same steps and images. Cells that are in the storage
are read. The cost is in seconds of the processor, which other work on the machine does not stretch
as it does wall time, on one core and one block, anew in each call: the synthesis or the scoring of
the pool, then the student. The teacher's training and the real pool's making are no one's cost.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from benchmarks.protocol.__main__ import computed
from dfkd import recipes
from dfkd.execution.compute import Compute
from dfkd.experiment import Cell, Experiment
from dfkd.models.networks.network import Tapped
from dfkd.reporting.numbers import interval, p, percent, points
from dfkd.scores import score_images
from dfkd.seeding import Block, use_deterministic
from dfkd.stats.comparisons import compare
from dfkd.storage import Storage, open_storage
from dfkd.storage.outcome import Outcome
from dfkd.synthesis import Dafl, Synthesised
from dfkd.training.distill import Run
from dfkd.training.inputs import load, obtain, score_here

GENERATOR = "generator"
FIRST = Block(seed=7101, draw=171, teacher=171)
SCORED = 2_500  # rows, by which the scoring of a pool is timed
Outcomes = Mapping[str, list[Outcome]]  # method -> one in each block


def methods(recipe: str) -> dict[str, Experiment]:
    """Return what is compared; the generator first, with which all others are."""
    full = recipes.RECIPES[recipe]()
    generator = recipes.generator(full)
    return {
        GENERATOR: generator,
        "dafl": replace(generator, pool=Dafl()),
        "full": full,
        "energy": recipes.RECIPES[f"{recipe}_energy"](),
        "plain KD": recipes.balanced(full),
        "random rows": recipes.random(full),
    }


def blocks(count: int) -> list[Block]:
    """Return fresh blocks: each has a seed, a draw and a teacher of its own."""
    one = FIRST
    return [
        Block(seed=one.seed + i, draw=one.draw + i, teacher=one.teacher + i) for i in range(count)
    ]


def accuracy_table(found: Outcomes) -> str:
    """Compare every method with the generator; Holm's correction runs over them."""
    rows = [
        (name, i, "finished", outcome.metrics["test"])
        for name, outcomes in found.items()
        for i, outcome in enumerate(outcomes)
    ]
    frame = pd.DataFrame(rows, columns=["variant", "block", "state", "value"])
    mean = float(frame[frame.variant == GENERATOR].value.mean())
    lines = [f"| {GENERATOR} | {percent(mean)} | | | | {len(found[GENERATOR])} |"]
    lines += [
        f"| {c.variant} | {percent(c.mean)} | {points(c.difference)} | {interval(c.low, c.high)} "
        f"| {p(c.p_holm)} | {c.n} |"
        for c in compare(frame, baseline=GENERATOR)
    ]
    head = "| method | test % | difference to the generator | 95 % interval | p (Holm) | n |"
    return "\n".join([head, "|---|--:|--:|--:|--:|--:|", *lines, ""])


def seconds(work: Callable[[], object], rounds: int) -> float:
    """Return the median of the processor seconds that this process spends in it."""
    spent = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        spent.append(time.process_time() - started)
    return statistics.median(spent)


def costs(cell: Cell, storage: Storage, rounds: int) -> tuple[float, float]:
    """Return the seconds until a cell's student begins, and those of the student.

    Before the student: the synthesis, and the teacher's answers to all rows of the pool.
    """
    e = cell.experiment
    source = obtain(cell, storage)
    score_here(source, storage)
    inputs = load(source, storage)
    some_NHWC = inputs.images_NHWC[:SCORED]
    score = seconds(lambda: score_images(source.teacher, some_NHWC, e.task, "cpu"), rounds)
    before = score * len(inputs.images_NHWC) / len(some_NHWC)
    if isinstance(pool := e.pool, Synthesised):
        teacher = Tapped(source.teacher.build(e.task)).eval().requires_grad_(False)
        before += seconds(lambda: pool.synthesise(teacher, e.task, cell.block.draw, "cpu"), rounds)
    return before, seconds(lambda: Run(cell, inputs).advance(e.schedule.steps), rounds)


def cost_table(found: Outcomes, spent: Mapping[str, tuple[float, float]]) -> str:
    """Say when each method reaches what the generator ends with, on validation, block by block."""
    goal_B = np.array([o.metrics["validation"] for o in found[GENERATOR]])
    whole = sum(spent[GENERATOR])
    lines = []
    for name, outcomes in found.items():
        before, student = spent[name]
        reached = [
            _seconds_to(o, goal, before, student) for o, goal in zip(outcomes, goal_B, strict=True)
        ]
        curve = np.array([[point["validation"] for point in o.points] for o in outcomes]).mean(0)
        said = " ".join(percent(value) for value in curve)
        there = [value for value in reached if value is not None]
        times = f"{np.median(there):.1f}" if len(there) == len(reached) else "not in every block"
        less = f"{whole / float(np.median(there)):.1f}" if len(there) == len(reached) else ""
        lines.append(f"| {name} | {before:.1f} | {student:.1f} | {said} | {times} | {less} |")
    head = (
        "| method | s before the student | s of the student | validation % at its evaluations "
        "| s to the generator's end | times less than the generator |"
    )
    return "\n".join([head, "|---|--:|--:|---|--:|--:|", *lines, ""])


def _seconds_to(outcome: Outcome, goal: float, before: float, student: float) -> float | None:
    """Return when a cell first has so much, None where it never has."""
    steps = [point["step"] for point in outcome.points if point["validation"] >= goal]
    return before + student * steps[0] / outcome.step if steps else None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", choices=["digits", "fashion"], default="digits")
    parser.add_argument("--blocks", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3, help="timings of the cost")
    parser.add_argument("--storage", default="runs")
    arguments = parser.parse_args()
    where, compared = Compute(storage=open_storage(arguments.storage)), methods(arguments.recipe)
    found: dict[str, list[Outcome]] = {name: [] for name in compared}
    for number, block in enumerate(blocks(arguments.blocks)):
        cells = [Cell(experiment=e, block=block) for e in compared.values()]
        title = f"{arguments.recipe}, block {number + 1} of {arguments.blocks}"
        for name, outcome in zip(compared, computed(title, cells, where, True), strict=True):
            found[name].append(outcome)
    print(accuracy_table(found), flush=True)
    if arguments.rounds:
        use_deterministic(1)
        spent = {
            name: costs(Cell(experiment=e, block=FIRST), where.storage, arguments.rounds)
            for name, e in compared.items()
        }
        print(cost_table(found, spent))


if __name__ == "__main__":
    main()
