"""When a round's method has what a generator ends with, in steps and processor seconds.

    python -m benchmarks.protocol.to_the_generator [--round 2] [--tasks letters fashion]
        [--storage runs]

On validation images, in the round's blocks: cells that are in the storage are read. The cost is
measured on the first block as in `benchmarks.generator`: the synthesis or the scoring of the pool,
then the student, each on one core.
"""

import argparse

from benchmarks.generator import Outcomes, cost_table, costs
from benchmarks.protocol.__main__ import computed
from benchmarks.protocol.plan import GENERATOR, ROUNDS, SETTINGS, Round, cell, tasks
from dfkd.execution.compute import Compute
from dfkd.experiment import Cell
from dfkd.seeding import use_deterministic
from dfkd.storage import open_storage

WITH_GENERATOR = {n: of for n, of in enumerate(ROUNDS, 1) if GENERATOR in of.rivals}


def cells_of(task: str, of: Round) -> dict[str, list[Cell]]:
    """Return each method's cells, one in each block, at the setting that tuning chose."""
    places, old = of.chosen[task], tasks()[task]
    made = {m: of.at(m, old, SETTINGS[places[m]]) for m in (GENERATOR, of.ours)}
    return {m: [cell(e, block) for block in of.confirming(task)] for m, e in made.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--round", type=int, choices=WITH_GENERATOR, default=2)
    parser.add_argument("--tasks", nargs="+", choices=list(tasks()))
    parser.add_argument("--rounds", type=int, default=3, help="timings of the cost")
    parser.add_argument("--storage", default="runs")
    arguments = parser.parse_args()
    where = Compute(storage=open_storage(arguments.storage))
    use_deterministic(1)
    of = WITH_GENERATOR[arguments.round]
    for task in arguments.tasks or of.blocks:
        cells = cells_of(task, of)
        found: Outcomes = {m: computed(f"{task}, {m}", c, where, True) for m, c in cells.items()}
        spent = {m: costs(c[0], where.storage, arguments.rounds) for m, c in cells.items()}
        print(f"**{task}**\n\n{cost_table(found, spent)}", flush=True)


if __name__ == "__main__":
    main()
