"""Runs the protocol of docs/protocol.md, or prints what was computed, in one command.

    python -m benchmarks.protocol [--round 2] [--tasks digits letters fashion rest] [--storage runs]

One cell at a time in this process on one core, task after task: each method's settings on the
tuning block, then the best of each (by the probe, no label) on fresh blocks. Cells that are in the
storage are read. Fashion-MNIST's files are needed for two of the tasks.
"""

import argparse
from collections.abc import Mapping, Sequence

from benchmarks.protocol import results
from benchmarks.protocol.plan import ROUNDS, SETTINGS, TUNING, Round, cell, tasks
from dfkd.execution.compute import Compute
from dfkd.execution.local_executor import local_executor
from dfkd.experiment import Cell, Experiment
from dfkd.reporting.console import Console
from dfkd.storage import open_storage
from dfkd.storage.outcome import Outcome


def computed(title: str, cells: Sequence[Cell], where: Compute, read_test: bool) -> list[Outcome]:
    """Return the outcomes of these cells in their order. SystemExit where one failed."""
    with local_executor(cells, where, Console()) as executor:
        jobs = [executor.run_context.job(one, read_test=read_test) for one in cells]
        done, failures = executor.compute(title, jobs, lambda outcome: None)
    if failures:
        raise SystemExit(f"{failures[0].job.name} failed: {failures[0].reason}")
    return [done[job.name] for job in jobs]


def tuned(task: str, old: Experiment, of: Round, where: Compute) -> results.Tuned:
    cells = {
        method: [cell(of.at(method, old, setting), TUNING) for setting in SETTINGS]
        for method in of.methods
    }
    flat = [one for of_method in cells.values() for one in of_method]
    outcomes = iter(computed(f"{task}, tuning", flat, where, read_test=False))
    return {method: [next(outcomes) for _ in SETTINGS] for method in of.methods}


def confirmed(
    task: str, old: Experiment, of: Round, places: Mapping[str, int], where: Compute
) -> results.Confirmed:
    """Return each method's test accuracies, block by block: an interrupted run has whole blocks.

    places: of each method's setting in SETTINGS.
    """
    chosen = {method: of.at(method, old, SETTINGS[places[method]]) for method in of.methods}
    tests: dict[str, list[float]] = {method: [] for method in chosen}
    for number, block in enumerate(of.confirming(task)):
        cells = [cell(experiment, block) for experiment in chosen.values()]
        title = f"{task}, block {number + 1} of {of.blocks[task]}"
        for method, outcome in zip(chosen, computed(title, cells, where, True), strict=True):
            tests[method].append(outcome.metrics["test"])
    return tests


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    recipes = tasks()
    parser.add_argument("--round", type=int, choices=range(1, len(ROUNDS) + 1), default=len(ROUNDS))
    parser.add_argument("--tasks", nargs="+", choices=list(recipes))
    parser.add_argument("--storage", default="runs")
    arguments = parser.parse_args()
    of = ROUNDS[arguments.round - 1]
    where = Compute(storage=open_storage(arguments.storage))
    settings: dict[str, results.Tuned] = {}
    tests: dict[str, results.Confirmed] = {}
    for task in arguments.tasks or of.blocks:
        places = of.chosen[task]
        if of.tunes:
            settings[task] = tuned(task, recipes[task], of, where)
            print(results.tuning_table(task, settings[task]), flush=True)
            places = {method: results.best(found) for method, found in settings[task].items()}
        tests[task] = confirmed(task, recipes[task], of, places, where)
        print(results.rival_table(task, tests[task], of), flush=True)
    print(results.gap_table(tests, of))
    if settings:
        print(results.probe_table(settings))


if __name__ == "__main__":
    main()
