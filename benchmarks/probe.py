"""Does the label-free probe rank recipes as labelled validation does?

Random recipes on digits, one block.

    python benchmarks/probe.py [--recipes 40] [--storage runs]

Prints Spearman's rank correlation of each candidate metric with validation accuracy, over all
recipes and over the better half (by validation). The rule of selection is drawn as well, so that
bad recipes of several kinds are there.
"""

import argparse
from dataclasses import replace

import numpy as np
import optuna

from dfkd.execution.compute import Compute
from dfkd.execution.ray_executor import ray_executor
from dfkd.experiment import Cell, Experiment
from dfkd.method.selection import Balanced, Confident, Random
from dfkd.reporting.console import Console
from dfkd.seeding import Block
from dfkd.stats.summaries import rank_correlation
from dfkd.storage import open_storage
from search_spaces.digits import default, space

METRICS = ("probe", "probe.soft", "probe.low", "probe.middle", "probe.high")
BLOCK = Block(seed=9000)


def random_recipes(count: int) -> list[Experiment]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    rules = np.random.default_rng(0).choice([Balanced, Confident, Random], count)
    recipes = [space(study.ask()) for _ in range(count)]
    return [
        replace(e, selection=rule(ratio=e.selection.ratio))
        for e, rule in zip(recipes, rules, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipes", type=int, default=40)
    parser.add_argument("--storage", default="runs")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    where, console = Compute(storage=open_storage(arguments.storage)), Console()
    shared = Cell(experiment=default, block=BLOCK)  # the task, pool and teacher of all recipes
    with ray_executor([shared], where, console) as executor:
        cells = [
            Cell(experiment=experiment, block=BLOCK)
            for experiment in random_recipes(arguments.recipes)
        ]
        jobs = [executor.run_context.job(cell, read_test=False) for cell in cells]
        done, _ = executor.compute("random recipes", jobs, lambda outcome: None)
    outcomes = list(done.values())
    validation = np.array([outcome.metrics["validation"] for outcome in outcomes])
    better = np.argsort(-validation, kind="stable")[: len(outcomes) // 2]
    rows = []
    for metric in METRICS:
        values = np.array([outcome.metrics.get(metric, 0.1) for outcome in outcomes])
        all_of_them = rank_correlation(values, validation)
        rows.append(
            [
                metric,
                f"{all_of_them:.2f}",
                f"{rank_correlation(values[better], validation[better]):.2f}",
            ]
        )
    console.table(
        f"Rank correlation with validation accuracy ({validation.min():.2f} to "
        f"{validation.max():.2f})",
        ("metric", f"all {len(outcomes)}", f"better {len(better)}"),
        rows,
    )


if __name__ == "__main__":
    main()
