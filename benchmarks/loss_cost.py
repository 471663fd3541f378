"""What each loss costs.

Milliseconds per training step against plain KD, side by side in one process.

    python benchmarks/loss_cost.py --rounds 30

One run per loss on the same pool, teacher and student; in each round every run takes a few steps in
turn, so that a machine that slows down slows all of them. A row is the median over the rounds, and
the median of the quotients with plain KD of the same round. The first round is not counted. What a
step costs depends on the networks: the smaller the student, the more a loss weighs; losses that ask
the teacher cost its pass as well.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from tempfile import TemporaryDirectory

import numpy as np
import torch

from dfkd import recipes
from dfkd.data.images.transforms import Crop, RandAugment
from dfkd.data.pools import Glyphs
from dfkd.experiment import Cell, Experiment, Schedule
from dfkd.method.losses import (
    CRD,
    DKD,
    PKT,
    RKD,
    SP,
    AttentionTransfer,
    FitNet,
    NTXent,
    PooledFeatures,
    ReviewKD,
    Similarity,
    TeacherContrast,
)
from dfkd.models.networks import CifarResNet, Network, SmallResNet, WideResNet
from dfkd.models.teachers import SupervisedTeacher
from dfkd.seeding import Block, use_deterministic
from dfkd.storage import Storage, open_storage
from dfkd.training.distill import Inputs, Run
from dfkd.training.inputs import load, obtain, score_here

CROP = Crop(padding=1, flip=False)
PAIRS: dict[str, tuple[Network, Network]] = {
    "small": (SmallResNet(width=16, stem_stride=2), SmallResNet(width=8, stem_stride=2)),
    "wrn": (WideResNet(depth=40, width=2), WideResNet(depth=16, width=1)),
    "resnet": (CifarResNet(depth=34), CifarResNet(depth=18)),
}


def variants(plain: Experiment) -> Iterator[tuple[str, Experiment]]:
    """Plain KD first. Losses beside it at their published weights: a weight costs nothing."""
    yield "KD", plain
    yield "DKD", replace(plain, kd=DKD())
    for explicit in (PooledFeatures(weight=1.0), FitNet(), AttentionTransfer(), ReviewKD()):
        yield type(explicit).__name__, replace(plain, explicit=explicit)
    for implicit in (Similarity(weight=1.0), RKD(), RKD(angle=0.0), SP(), PKT(), TeacherContrast()):
        name = f"{type(implicit).__name__}{', distance only' if implicit == RKD(angle=0.0) else ''}"
        yield name, replace(plain, implicit=implicit)
    for negatives in (16384, 1024):
        yield f"CRD, {negatives} negatives", replace(plain, implicit=CRD(negatives=negatives))
    yield "NTXent, two views, teacher live", replace(plain, implicit=NTXent(), views=CROP)
    yield "KD, crops, teacher cached", replace(plain, views=CROP)
    yield "KD, crops, teacher live", replace(plain, views=replace(CROP, answer="live"))
    yield (
        "KD, crops, teacher kept for 4 views",
        replace(plain, views=replace(CROP, answer="live", per_row=4)),
    )
    yield "KD, RandAugment, teacher live", replace(plain, views=RandAugment(padding=1, flip=False))


def experiment(pair: str, batch: int, rows: int) -> Experiment:
    teacher, student = PAIRS[pair]
    return replace(
        recipes.digits(),
        pool=Glyphs(rows=rows),
        # what it knows does not change the cost
        teacher=SupervisedTeacher(network=teacher, steps=5, batch=32),
        student=student,
        dropping=None,
        explicit=None,
        implicit=None,
        schedule=Schedule(steps=1_000_000, batch=batch),
    )


def inputs(plain: Experiment, storage: Storage) -> Inputs:
    source = obtain(Cell(experiment=plain, block=Block(seed=0)), storage)
    score_here(source, storage)
    return load(source, storage)


def milliseconds(runs: list[Run], rounds: int, steps: int) -> np.ndarray:
    """Per step [rounds, runs]."""
    taken = np.empty((rounds + 1, len(runs)))
    for row in taken:
        for place, run in enumerate(runs):
            start = time.perf_counter()
            run.advance(run.step + steps)  # reads a number back at its end: a GPU is done by then
            row[place] = (time.perf_counter() - start) / steps * 1000
    return taken[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of each loss per step against plain KD.")
    parser.add_argument("--pair", choices=PAIRS, default="small")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--steps", type=int, default=5, help="steps of each run in a round")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rows", type=int, default=20_000, help="of the pool; a tenth is selected")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    use_deterministic(arguments.threads)
    plain = experiment(arguments.pair, arguments.batch, arguments.rows)
    with TemporaryDirectory() as storage:
        given = inputs(plain, open_storage(storage))
    named = dict(variants(plain))
    runs = [
        Run(Cell(experiment=e, block=Block(seed=0)), given, arguments.device)
        for e in named.values()
    ]
    taken = milliseconds(runs, arguments.rounds, arguments.steps)
    print(
        f"{arguments.pair}: {plain.teacher.network} -> {plain.student}, batch {arguments.batch}, "
        f"{len(runs[0].rows_N)} rows, {arguments.threads} thread(s), {arguments.device}, PyTorch "
        f"{torch.__version__}; "
        f"median of {arguments.rounds} rounds of {arguments.steps} steps.\n"
    )
    print("| loss beside KD | ms per step | against plain KD |\n|---|---:|---:|")
    for name, own, quotient in zip(
        named, np.median(taken, 0), np.median(taken / taken[:, :1], 0), strict=True
    ):
        print(f"| {name} | {own:.1f} | {quotient:.2f} |")


if __name__ == "__main__":
    main()
