"""The teacher's answers to 200,000 images of 32x32: the platform on Ray Data, and a bare loop.

The platform reads shards from disk, and checks and writes the answers. The bare loop has all images
in memory, a process of one thread on each core, and the platform's batch of 256. Two pools are
scored: the line through both tells the steady rate from what a scoring costs whatever its size. Ray
runs already; the first scoring of a session also imports Ray Data, and is told by itself.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.measuring.figures import (
    Bench,
    Check,
    Figure,
    Found,
    quotient,
    say,
    seconds,
    seconds_of,
)
from benchmarks.measuring.machine import cores
from dfkd import recipes
from dfkd.data.images.transforms import normalised
from dfkd.data.importing.columns import read_shard
from dfkd.data.importing.shards import PoolFiles, Shard, write_shard
from dfkd.data.tasks import Unlabelled
from dfkd.execution import scoring
from dfkd.execution.compute import Compute
from dfkd.execution.scoring import score
from dfkd.execution.session import session
from dfkd.experiment import Cell
from dfkd.models.networks import SmallResNet
from dfkd.models.teachers import ModuleTeacher
from dfkd.scores import read_scores, score_path
from dfkd.scores.scorer import BATCH
from dfkd.seeding import Block, use_deterministic
from dfkd.storage import open_storage
from dfkd.training.inputs import InputSource

ROUNDS, SHARDS, FEW, SHARD_ROWS = 3, 20, 2, 10_000  # shards of the large pool and of the small one
SHAPE = (32, 32, 3)
TASK = Unlabelled(classes=10, image_shape=SHAPE, mean=(0.5,) * 3, std=(0.25,) * 3)


def measure(bench: Bench) -> Found:
    use_deterministic(1)
    scoring.FEW = 0  # by Ray Data, as larger pools are
    rows = bench.size(SHARD_ROWS, 600)
    shards = noise(bench.folder / "noise", bench.size(SHARDS, 2 * FEW), rows)
    with session(Compute(storage=open_storage(bench.folder / "scoring"))):
        scorings = Scorings(bench.folder, shards)
        cold = scorings.platform(FEW)()
        with ProcessPoolExecutor(cores(), get_context("spawn"), use_deterministic, (1,)) as pool:
            scorings.bare(pool, FEW)()  # not timed: it starts the processes
            sides = {
                "large pool": scorings.platform(len(shards)),
                "small pool": scorings.platform(FEW),
                "bare loop": scorings.bare(pool, len(shards)),
            }
            taken = bench.in_turn(ROUNDS, sides)
    large, small = len(shards) * rows, FEW * rows
    pairs = list(zip(taken["large pool"], taken["small pool"], strict=True))
    rates = [(large - small) / (more - less) for more, less in pairs]
    fixed = [less - small / rate for (_, less), rate in zip(pairs, rates, strict=True)]
    bare = [large / s for s in taken["bare loop"]]
    figures = [
        seconds(f"platform, {large:,} images", taken["large pool"]),
        seconds("platform, whatever the size", fixed),
        seconds(f"platform, first scoring of a session, {small:,} images", [cold]),
        Figure(name="platform, steady", unit="images/s", values=rates, more_is_better=True),
        Figure(name="bare loop", unit="images/s", values=bare, more_is_better=True),
        quotient("speed: platform, steady / bare loop", rates, bare),
    ]
    return Found(figures=figures, checks=[scorings.check()])


def noise(folder: Path, count: int, rows: int) -> list[Shard]:
    """Write shards of random images."""
    folder.mkdir()
    rng, shards = np.random.default_rng(0), list[Shard]()
    for index in range(count):
        row_id_N = np.arange(index * rows, (index + 1) * rows)
        images_NHWC = rng.integers(0, 256, (rows, *SHAPE), dtype=np.uint8)
        shards.append(write_shard(folder / f"{index}.parquet", row_id_N, images_NHWC))
    say(f"{count * rows:,} images written")
    return shards


class Scorings:
    """The same images scored by several means, again and again."""

    def __init__(self, folder: Path, shards: Sequence[Shard]) -> None:
        self.folder, self.shards, self.count = folder, shards, 0
        torch.manual_seed(0)
        module = SmallResNet(width=16, stem_stride=2).build(TASK.classes, SHAPE[2])
        self.teacher = ModuleTeacher(module=module)
        self.whole, self.bare_logits = folder, list[NDArray[np.float32]]()

    def platform(self, count: int) -> Callable[[], float]:
        """Return a scoring of so many shards by Ray Data, into an empty storage each time."""
        experiment = replace(recipes.digits(), task=TASK, teacher=self.teacher)
        cell = Cell(experiment=experiment, block=Block(seed=0))
        pool = PoolFiles(tuple(self.shards[:count]))

        def scored() -> float:
            self.count += 1
            place = self.folder / f"scores-{self.count}"
            storage = open_storage(place)
            trained = self.teacher.obtain(TASK, storage)
            source = InputSource(task=TASK, teacher=trained, pool=pool)
            taken = seconds_of(lambda: sum(score(cell, source, Compute(storage=storage))))
            self.whole = place if count == len(self.shards) else self.whole
            return taken

        return scored

    def bare(self, pool: ProcessPoolExecutor, count: int) -> Callable[[], float]:
        """Return a scoring of so many shards by the bare loop, on all cores."""
        paths = [shard.path for shard in self.shards[:count]]

        def scored() -> float:
            asked = [
                pool.submit(bare_answers, self.teacher, paths[core :: cores()])
                for core in range(cores())
            ]
            parts = [one.result() for one in asked]
            by_path = {path: logits for _, part in parts for path, logits in part.items()}
            self.bare_logits = [by_path[path] for path in paths]
            return sum(taken for taken, _ in parts) / cores()

        return scored

    def check(self) -> Check:
        """The bare loop's logits are those in the platform's files."""
        digest = self.teacher.obtain(TASK, open_storage(self.whole)).digest
        storage = open_storage(self.whole)
        files = [score_path(storage, digest, shard, TASK) for shard in self.shards]
        equal = np.array_equal(read_scores(files).logits_NK, np.concatenate(self.bare_logits))
        return Check(claim="equal logits", holds=equal, seen="all bits")


def bare_answers(
    teacher: ModuleTeacher, paths: Sequence[Path]
) -> tuple[float, dict[Path, NDArray[np.float32]]]:
    """Return the seconds that the images of these shards take, and the logits by shard."""
    images = {path: torch.from_numpy(read_shard(path, SHAPE)[1].copy()) for path in paths}
    network = teacher.build(TASK.classes, SHAPE[2]).eval()
    answers = dict[Path, NDArray[np.float32]]()

    def ask() -> None:
        with torch.inference_mode():
            for path, images_NHWC in images.items():
                batches = torch.split(images_NHWC, BATCH)
                logits = [network(normalised(images_BHWC, TASK)) for images_BHWC in batches]
                answers[path] = torch.cat(logits).numpy()

    return seconds_of(ask), answers
