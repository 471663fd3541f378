"""How many rows of a class does its student need? One class of digits starved at a time.

    python benchmarks/starvation.py --seeds 2    # 20 minutes on one core

Of one class so many sure rows stay in the pool as fill a share of its quota; its unsure rows are
taken out as well, or stay. Then the recipe runs as ever, on as many rows. Recall is that of the
class on training and validation images of the task, which no student sees.
`dfkd/inspection/fitness.py` has its marks from here.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dfkd import recipes
from dfkd.experiment import Cell, Experiment
from dfkd.inspection.fitness import CONFIDENT
from dfkd.models.teachers import predict
from dfkd.seeding import Block, use_deterministic
from dfkd.storage import open_storage
from dfkd.training.distill import Inputs, Run
from dfkd.training.inputs import load, obtain, score_here

CLASSES = (1, 3, 4, 7, 8, 9)  # those with sure rows for a whole quota
SHARES = (0.0, 0.05, 0.1, 0.25, 0.5, 1.0)


def starved(inputs: Inputs, label: int, rows: int, unsure: bool) -> Inputs:
    """The same material, with so many sure rows of the class; the probe's rows stand first."""
    probe, scores = inputs.probe, inputs.scores
    label_N, confidence_N = np.asarray(scores.pseudo_label_N), np.asarray(scores.confidence_N)
    stays_N = np.ones(len(scores), dtype=np.bool_)
    stays_N[probe.rows_P] = False
    sure = np.flatnonzero(stays_N & (label_N == label) & (confidence_N >= CONFIDENT))
    stays_N &= (label_N != label) | (unsure & (confidence_N < CONFIDENT))
    stays_N[np.random.default_rng(label).choice(sure, rows, replace=False)] = True
    kept = np.concatenate([probe.rows_P, np.flatnonzero(stays_N)])
    first = replace(probe, rows_P=np.arange(len(probe.rows_P)))
    images = np.ascontiguousarray(inputs.images_NHWC[kept])
    return replace(
        inputs, images_NHWC=images, scores=scores.take(kept), probe=first, selections=None
    )


def measured(e: Experiment, inputs: Inputs, seeds: int) -> Iterator[dict[str, float]]:
    splits = [e.task.train(), e.task.validation()]
    images = np.concatenate([split.images for split in splits if split is not None])
    labels: NDArray[np.int64] = np.concatenate(
        [split.labels for split in splits if split is not None]
    )
    count = round((e.selection.ratio or 0) * (len(inputs.scores) - len(inputs.probe.rows_P)))
    e = replace(e, selection=replace(e.selection, ratio=None, rows=count))
    for seed in range(seeds):
        for label in CLASSES:
            for unsure in (False, True):
                for share in SHARES:
                    rows = round(share * count / e.task.classes)
                    run = Run(
                        Cell(experiment=e, block=Block(seed=seed)),
                        starved(inputs, label, rows, unsure),
                    )
                    run.advance(e.schedule.steps)
                    answer = predict(run.objective.student.network, images, e.task)
                    own = labels == label
                    yield {
                        "unsure rows": unsure,
                        "share": share,
                        "recall": (answer[own] == label).mean(),
                        "others": (answer[~own] == labels[~own]).mean(),
                    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--storage", default="runs")
    arguments = parser.parse_args()
    use_deterministic(1)
    e = recipes.digits()
    storage = open_storage(arguments.storage)
    source = obtain(Cell(experiment=e, block=Block(seed=0)), storage)
    score_here(source, storage)
    rows = pd.DataFrame(measured(e, load(source, storage), arguments.seeds))
    table = rows.groupby(["unsure rows", "share"]).agg(
        recall=("recall", "mean"),
        lowest=("recall", "min"),
        highest=("recall", "max"),
        others=("others", "mean"),
        n=("recall", "count"),
    )
    print(table.round(3).to_string())


if __name__ == "__main__":
    main()
