"""How much of the gap to the oracle each part closes: exact Shapley values, task by task.

    python -m benchmarks.protocol.shapley [--round 2] [--tasks digits letters] [--blocks 3]
        [--storage runs] [--figure docs/shapley.svg]

From KD on random rows at the old learning rate to the round's recipe at its tuned setting: the
values of the parts add up to what lies between. All coalitions of the parts are computed in the
first blocks of the round, at the settings that its tuning has chosen: 33 cells a block.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.protocol.__main__ import computed
from benchmarks.protocol.plan import ORACLE, ROUNDS, SETTINGS, Round, at, cell, tasks
from dfkd import recipes
from dfkd.execution.compute import Compute
from dfkd.experiment import Experiment
from dfkd.reporting.numbers import interval, p, points
from dfkd.reporting.style import COLOURS, FAINT, blank, styled, svg
from dfkd.stats.designs import BASE, coalition_name, shapley, shapley_orders
from dfkd.stats.factorial import Attribution, shapley_values
from dfkd.storage import open_storage

Part = Callable[[Experiment], Experiment]

OF_BOTH = {
    "learning rate": ("schedule",),
    "rows by energy": ("selection",),
    "balanced batches": ("sampling",),
}
PARTS: tuple[Mapping[str, tuple[str, ...]], ...] = (  # of each round: name -> what it changes
    OF_BOTH | {"dropping": ("dropping",), "explicit, implicit": ("explicit", "implicit")},
    OF_BOTH | {"teacher's maps": ("explicit",), "dropping, implicit": ("dropping", "implicit")},
)


@dataclass(frozen=True, kw_only=True)
class Explained:
    """What a task's cells say, as fractions.

    values: the mean of what a part adds over all orders in which the parts can join. alone, last:
    what it adds to the start and to all others. left: by what the oracle exceeds the new recipe.
    """

    values: list[Attribution]
    alone: list[float]
    last: list[float]
    base: float
    left: float


def parts_of(made: Experiment, of: Round) -> Mapping[str, Part]:
    """Return what makes a round's recipe of KD on random rows, as changes."""
    return {
        name: lambda e, fields=fields: replace(e, **{f: getattr(made, f) for f in fields})
        for name, fields in PARTS[ROUNDS.index(of)].items()
    }


def explained(task: str, of: Round, blocks: int, where: Compute) -> Explained:
    old, chosen = tasks()[task], of.chosen[task]
    made, oracle = (at(method, old, SETTINGS[chosen[method]]) for method in (of.ours, ORACLE))
    start = replace(recipes.random(made), sampling=None, schedule=old.schedule)
    parts = parts_of(made, of)
    variants = shapley(start, parts) | {ORACLE: oracle}
    rows = []
    for block in of.confirming(task)[:blocks]:
        cells = [cell(experiment, block) for experiment in variants.values()]
        outcomes = computed(f"{task}, coalitions in block {block}", cells, where, read_test=True)
        rows += [
            (name, str(block), outcome.state, outcome.metrics["test"])
            for name, outcome in zip(variants, outcomes, strict=True)
        ]
    frame = pd.DataFrame(rows, columns=["variant", "block", "state", "value"])
    mean = frame.groupby("variant")["value"].mean()
    whole = mean[coalition_name(parts, parts)]
    others = [coalition_name(parts, parts.keys() - {name}) for name in parts]
    return Explained(
        values=shapley_values(frame, list(parts), shapley_orders(list(parts))),
        alone=[float(mean[name] - mean[BASE]) for name in parts],
        last=[float(whole - mean[name]) for name in others],
        base=float(mean[BASE]),
        left=float(mean[ORACLE] - whole),
    )


def table(task: str, found: Explained) -> str:
    head = f"**{task}**: from {100 * found.base:.1f} % (KD, random rows, old learning rate)\n"
    rows = [
        f"| {v.component} | {points(v.value)} | {interval(v.low, v.high)} | {p(v.p_holm)} | "
        f"{points(alone)} | {points(last)} |"
        for v, alone, last in zip(found.values, found.alone, found.last, strict=True)
    ]
    left = f"| left to the oracle | {points(found.left)} | | | | |"
    columns = "| part | points | 95 % interval | p (Holm) | alone | last |"
    lines = [head, columns, "|---|--:|--:|--:|--:|--:|", *rows, left]
    return "\n".join(lines) + "\n"


def figure(of_task: Mapping[str, Explained]) -> str:
    """Draw a bar for each part of each task, and one for what is left to the oracle."""
    names = [v.component for v in next(iter(of_task.values())).values]
    with styled():
        plot = blank(0.5 + 0.32 * (len(names) + 1) * len(of_task))
        panels = plot.subplots(len(of_task), 1, squeeze=False)[:, 0]
        for axes, (task, found) in zip(panels, of_task.items(), strict=True):
            values = [100 * v.value for v in found.values] + [100 * found.left]
            places = np.arange(len(values))[::-1]
            axes.barh(places, values, color=[*COLOURS[: len(names)], FAINT], height=0.7)
            for value, place in zip(found.values, places, strict=False):
                if value.low is not None and value.high is not None:
                    ends = [100 * value.low, 100 * value.high]
                    axes.plot(ends, [place, place], color="#000000", linewidth=1)
            axes.set_yticks(places, [*names, "left to the oracle"])
            axes.set_title(f"{task}: points of test accuracy, from {100 * found.base:.1f} %")
            axes.axvline(0, color="#595959", linewidth=0.8)
    return svg(plot)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--round", type=int, choices=range(1, len(ROUNDS) + 1), default=len(ROUNDS))
    parser.add_argument("--tasks", nargs="+", choices=list(tasks()))
    parser.add_argument("--blocks", type=int, default=3)
    parser.add_argument("--storage", default="runs")
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    where = Compute(storage=open_storage(arguments.storage))
    of, found = ROUNDS[arguments.round - 1], {}
    for task in arguments.tasks or of.chosen:
        found[task] = explained(task, of, arguments.blocks, where)
        print(table(task, found[task]), flush=True)
    if arguments.figure is not None:
        arguments.figure.write_text(figure(found) + "\n")


if __name__ == "__main__":
    main()
