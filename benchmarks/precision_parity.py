"""Are students that train in bfloat16 as good as those that train in float32?

    python benchmarks/precision_parity.py [--task digits] [--blocks 60] [--storage runs]

The same cells are computed in both precisions, with seed, pool and teacher in common, so that
differences are paired. Equivalence is tested by two one-sided t-tests with the margin that is
given, in points of test accuracy. Cells that are in the storage are read.
"""

import argparse

import pandas as pd

from dfkd.execution.compute import Compute
from dfkd.execution.ray_executor import ray_executor
from dfkd.experiment import Cell, Experiment
from dfkd.experiment.recipes import RECIPES
from dfkd.reporting.console import Console
from dfkd.reporting.numbers import interval, p, points
from dfkd.seeding import Block
from dfkd.stats.comparisons import Comparison, compare
from dfkd.storage import open_storage

SEED = 6000  # its blocks are nobody else's
PRECISIONS = ("float32", "bfloat16")


def outcomes(
    recipe: Experiment, blocks: int, precision: str, storage: str, console: Console
) -> pd.DataFrame:
    """Return a row for each block: its accuracy on the test set and the seconds it took."""
    where = Compute(storage=open_storage(storage), precision=precision)
    cells = [Cell(experiment=recipe, block=Block(seed=SEED + i)) for i in range(blocks)]
    with ray_executor(cells[:1], where, console) as executor:
        jobs = [executor.run_context.job(cell, read_test=True) for cell in cells]
        done, failures = executor.compute(precision, jobs, lambda outcome: None)
    if failures:
        raise SystemExit(f"{failures[0].job.name} failed: {failures[0].reason}")
    found = [done[job.name] for job in jobs]
    return pd.DataFrame(
        {
            "variant": precision,
            "block": range(blocks),
            "state": [outcome.state for outcome in found],
            "value": [outcome.metrics["test"] for outcome in found],
            "seconds": [outcome.seconds for outcome in found],
        }
    )


def row(c: Comparison) -> list[str]:
    numbers = [points(c.difference), interval(c.low, c.high), p(c.p_equivalent)]
    return [c.variant, str(c.n), *numbers, c.verdict]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", default="digits", choices=["digits", "fashion"])
    parser.add_argument("--blocks", type=int, default=60)
    parser.add_argument("--margin", type=float, default=0.5, help="in points (default: 0.5)")
    parser.add_argument("--storage", default="runs")
    arguments = parser.parse_args()
    console, recipe = Console(), RECIPES[arguments.task]()
    both = pd.concat(
        outcomes(recipe, arguments.blocks, precision, arguments.storage, console)
        for precision in PRECISIONS
    )
    header = ("against float32", "n", "difference", "95 % interval", "p (TOST)", "verdict")
    found = compare(both, baseline="float32", margin=arguments.margin / 100)
    console.table(
        f"{arguments.task}, margin {arguments.margin} points", header, [row(c) for c in found]
    )
    means = both.groupby("variant", sort=False)[["value", "seconds"]].mean()
    for precision, mean in means.iterrows():
        console.line(
            f"{precision}: {100 * mean['value']:.2f} % test accuracy, {mean['seconds']:.1f} s"
        )


if __name__ == "__main__":
    main()
