"""An A/A study with real cells: one recipe under several names, each on blocks of its own.

It has to find nothing.

    python benchmarks/aa_study.py [--variants 5] [--blocks 10] [--storage runs]

Prints the table as a study would, and then how often the same cells, dealt out anew at random, give
a false alarm: the share of studies in which anything is called better or worse, which the
family-wise level promises to keep at 5 %. Blocks are disjoint, so that nothing is paired but by
position: differences between names are noise and nothing else.
"""

import argparse

import numpy as np
import pandas as pd

from dfkd import recipes
from dfkd.execution.compute import Compute
from dfkd.execution.ray_executor import ray_executor
from dfkd.experiment import Cell
from dfkd.reporting.console import Console
from dfkd.reporting.numbers import interval, p, points
from dfkd.seeding import Block
from dfkd.stats.comparisons import Comparison, compare
from dfkd.stats.paired import holm, t_test
from dfkd.storage import open_storage

SEED = 5000  # its blocks are nobody else's
BASELINE = "name 0"


def deal(values_N: np.ndarray, variants: int) -> pd.DataFrame:
    """The accuracies as the outcomes of a study: as many blocks each for `variants` names."""
    blocks = len(values_N) // variants
    names = [f"name {i}" for i in range(variants) for _ in range(blocks)]
    rows = {
        "variant": names,
        "block": list(range(blocks)) * variants,
        "state": "finished",
        "value": values_N,
    }
    return pd.DataFrame(rows)


def alarm(values_N: np.ndarray, variants: int) -> bool:
    """Whether `compare` would call any name of this deal better or worse.

    Its test without all that it describes.
    """
    baseline_B, *others = values_N.reshape(variants, -1)
    return any(
        p is not None and p <= 0.05
        for p in holm([t_test(other_B - baseline_B) for other_B in others])
    )


def accuracies(count: int, where: Compute, console: Console) -> np.ndarray:
    cells = [Cell(experiment=recipes.digits(), block=Block(seed=SEED + i)) for i in range(count)]
    with ray_executor(cells[:1], where, console) as executor:
        jobs = [executor.run_context.job(cell, read_test=True) for cell in cells]
        done, failures = executor.compute("A/A study", jobs, lambda outcome: None)
    if failures:
        raise SystemExit(
            f"{len(failures)} cells failed, such as {failures[0].job.name}: {failures[0].reason}"
        )
    return np.array([done[job.name].metrics["test"] for job in jobs])


def row(c: Comparison) -> list[str]:
    numbers = [points(c.difference), interval(c.low, c.high), p(c.p_holm)]
    return [c.variant, str(c.n), *numbers, c.verdict]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--variants", type=int, default=5)
    parser.add_argument("--blocks", type=int, default=10)
    parser.add_argument("--deals", type=int, default=1000)
    parser.add_argument("--storage", default="runs")
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--gpus", type=float, default=0.0)
    arguments = parser.parse_args()
    console = Console()
    where = Compute(
        storage=open_storage(arguments.storage), cpus=arguments.cpus, gpus=arguments.gpus
    )
    values_N = accuracies(arguments.variants * arguments.blocks, where, console)
    study = deal(values_N, arguments.variants)
    header = ("against name 0", "n", "difference", "95 % interval", "p (Holm)", "verdict")
    console.table(
        "One recipe under several names",
        header,
        [row(c) for c in compare(study, baseline=BASELINE)],
    )
    rng = np.random.default_rng(0)
    alarms = [alarm(rng.permutation(values_N), arguments.variants) for _ in range(arguments.deals)]
    mean, sd = 100 * values_N.mean(), 100 * values_N.std(ddof=1)
    console.line(
        f"{len(values_N)} cells, {mean:.1f} % test accuracy, sd {sd:.1f} points; "
        f"this study: "
        f"{'A FALSE ALARM' if alarm(values_N, arguments.variants) else 'nothing found'}; "
        f"false alarms over {arguments.deals} random deals of these cells: "
        f"{100 * np.mean(alarms):.1f} %"
    )


if __name__ == "__main__":
    main()
