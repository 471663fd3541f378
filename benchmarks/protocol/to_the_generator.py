"""When the second round's method has what a generator ends with, in steps and processor seconds.

    python -m benchmarks.protocol.to_the_generator [--tasks letters fashion] [--storage runs]

On validation images, in the round's blocks: cells that are in the storage are read. The cost is
measured on the first block as in `benchmarks.generator`: the synthesis or the scoring of the pool,
then the student, each on one core.
"""

import argparse

from benchmarks.generator import Outcomes, cost_table, costs
from benchmarks.protocol.__main__ import computed
from benchmarks.protocol.plan import GENERATOR, MAPS, ROUNDS, SETTINGS, at, cell, tasks
from dfkd.execution.compute import Compute
from dfkd.experiment import Cell
from dfkd.seeding import use_deterministic
from dfkd.storage import open_storage

OF = ROUNDS[1]


def cells_of(task: str) -> dict[str, list[Cell]]:
    """Return each method's cells, one in each block, at the setting that tuning chose."""
    made = {m: at(m, tasks()[task], SETTINGS[OF.chosen[task][m]]) for m in (GENERATOR, MAPS)}
    return {m: [cell(e, block) for block in OF.confirming(task)] for m, e in made.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", nargs="+", choices=list(OF.blocks), default=list(OF.blocks))
    parser.add_argument("--rounds", type=int, default=3, help="timings of the cost")
    parser.add_argument("--storage", default="runs")
    arguments = parser.parse_args()
    where = Compute(storage=open_storage(arguments.storage))
    use_deterministic(1)
    for task in arguments.tasks:
        cells = cells_of(task)
        found: Outcomes = {m: computed(f"{task}, {m}", c, where, True) for m, c in cells.items()}
        spent = {m: costs(c[0], where.storage, arguments.rounds) for m, c in cells.items()}
        print(f"**{task}**\n\n{cost_table(found, spent)}", flush=True)


if __name__ == "__main__":
    main()
