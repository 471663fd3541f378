"""What training and scoring cost on one GPU, beside loops that were written for speed alone.

    python benchmarks/gpu.py --out gpu.json

Needs no network, no data and no Ray: images are noise, whose cost is that of any others. Workloads
are the pair of CIFAR (ResNet-34 teaches ResNet-18, batches of 256, 32x32) and the students of
`digits`, which are so small that a GPU waits for Python. For each it prints images per second of

- run: the platform's own training loop (dfkd/training/distill.py) with crops and flips,
- bare: the same networks, losses and optimizer with everything on the device, recorded as one CUDA
  graph: no batch is drawn, nothing is cropped or logged, and nothing but speed is looked at,

with the teacher's cached answers and with a live teacher, and what share of the GPU's measured
matrix rate that is. Both use deterministic kernels. Each figure is the median of `--rounds`
timings, taken in turn. With `--small` it runs anywhere in seconds, to see that it works.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parents[1]))  # where the package is not installed

from dfkd import recipes
from dfkd.data.images.transforms import Crop, View, normalised
from dfkd.data.tasks import Split
from dfkd.data.tasks.task import BaseTask
from dfkd.experiment import Cell, Experiment, Schedule
from dfkd.method.losses import LOSSES
from dfkd.method.selection import Random
from dfkd.models.networks import CifarResNet, Network, SmallResNet, Tapped
from dfkd.models.teachers import SupervisedTeacher, TrainedNetwork
from dfkd.scores import Scorer, scores_of
from dfkd.seeding import Block, use_deterministic
from dfkd.training.distill import Run
from dfkd.training.inputs import Inputs
from dfkd.training.probe import draw_probe

CLASSES = 10


@dataclass(frozen=True, kw_only=True)
class Noise(BaseTask):
    """Stands for a task of this size; it has no images."""

    side: int
    channels: int
    classes: ClassVar[int] = CLASSES
    version: ClassVar[int] = 1

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.side, self.side, self.channels

    @property
    def mean(self) -> tuple[float, ...]:
        return (0.5,) * self.channels

    @property
    def std(self) -> tuple[float, ...]:
        return (0.25,) * self.channels

    def train(self) -> Split:
        raise NotImplementedError

    def validation(self) -> Split | None:
        return None

    test = train


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A teacher and a student on a pool of noise."""

    teacher: Network
    student: Network
    task: Noise
    rows: int
    batch: int

    def experiment(self, views: View | None) -> Experiment:
        """Return the full method: dropping, features and relations."""
        schedule = Schedule(steps=10**6, batch=self.batch, optimizer="sgd", decay="cosine")
        return replace(
            recipes.digits(),
            task=self.task,
            student=self.student,
            teacher=SupervisedTeacher(network=self.teacher, steps=1),
            selection=Random(ratio=0.9),
            views=views,
            schedule=schedule,
        )

    def inputs(self) -> Inputs:
        """Return random images and answers, and a teacher with random weights."""
        rng, rows = np.random.default_rng(0), self.rows
        images_NHWC = rng.integers(0, 256, (rows, *self.task.image_shape), dtype=np.uint8)
        network = self.teacher.build(CLASSES, self.task.channels)
        width = Tapped(network).width
        scores = scores_of(
            np.arange(rows),
            rng.normal(0, 3, (rows, CLASSES)).astype(np.float32),
            np.abs(rng.normal(0, 1, (rows, width))).astype(np.float32),
        )
        weights = dict(network.state_dict())
        teacher = TrainedNetwork(network=self.teacher, weights=weights, digest="noise")
        return Inputs(
            images_NHWC=images_NHWC,
            scores=scores,
            probe=draw_probe(scores),
            validation=None,
            teacher=teacher,
        )

    def run(self, inputs: Inputs, device: str, precision: str, views: View | None) -> Run:
        cell = Cell(experiment=self.experiment(views), block=Block(seed=1))
        return Run(cell, inputs, device, precision)


def pair(small: bool) -> Workload:
    """Return the pair of CIFAR, or small networks in its place."""
    teacher: Network = SmallResNet(width=16) if small else CifarResNet(depth=34)
    student: Network = SmallResNet(width=8) if small else CifarResNet(depth=18)
    task = Noise(side=32, channels=3)
    rows, batch = (600, 32) if small else (20_000, 256)
    return Workload(teacher=teacher, student=student, task=task, rows=rows, batch=batch)


def digits(small: bool) -> Workload:
    """Return the networks of the recipe `digits`."""
    full, task = recipes.digits(), Noise(side=16, channels=1)
    rows = 600 if small else 20_000
    teacher = SmallResNet(width=16, stem_stride=2)
    return Workload(teacher=teacher, student=full.student, task=task, rows=rows, batch=64)


class Clock:
    """Times calls on a device: the median of some rounds, in seconds per call."""

    def __init__(self, device: str, rounds: int, calls: int) -> None:
        self.device, self.rounds, self.calls = device, rounds, calls

    def wait(self) -> None:
        """Wait for what the device has still to do."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def seconds(self, call: Callable[[], Any], calls: int | None = None) -> float:
        """Return the seconds of one call, after some that are not timed."""
        count = calls or self.calls
        for _ in range(3 + count // 4):
            call()
        return statistics.median(self._timed(call, count) for _ in range(self.rounds))

    def _timed(self, call: Callable[[], Any], count: int) -> float:
        self.wait()
        start = time.perf_counter()
        for _ in range(count):
            call()
        self.wait()
        return (time.perf_counter() - start) / count


def bare_step(
    workload: Workload, inputs: Inputs, device: str, precision: str, live: bool
) -> Callable[[], object]:
    """Return a step of a loop written for speed; on a GPU it is one recorded graph.

    live: the teacher is asked in each step.
    """
    rows = torch.arange(workload.batch, device=device)
    images_NHWC = torch.from_numpy(inputs.images_NHWC).to(device)
    logits_NK = torch.from_numpy(np.asarray(inputs.scores.logits_NK)).to(device)
    features_ND = torch.from_numpy(inputs.scores.features_ND).to(device)
    network = Tapped(workload.student.build(CLASSES, workload.task.channels)).to(device)
    network = network.to(memory_format=torch.channels_last)
    projector = torch.nn.Identity()
    if network.width != features_ND.shape[1]:
        projector = torch.nn.Linear(network.width, features_ND.shape[1]).to(device)  # type: ignore[assignment]
    trained = [*network.parameters(), *projector.parameters()]
    optimizer = torch.optim.SGD(trained, lr=0.05, momentum=0.9, weight_decay=5e-4, fused=True)
    kind, reduced = torch.device(device).type, precision == "bfloat16"
    assert inputs.teacher is not None
    teacher = Tapped(inputs.teacher.build(workload.task)).to(device).eval()
    teacher = teacher.to(memory_format=torch.channels_last)

    def step() -> None:
        images_BCHW = normalised(images_NHWC[rows], workload.task)
        taught = logits_NK[rows], features_ND[rows]
        with torch.autocast(kind, torch.bfloat16, enabled=reduced, cache_enabled=False):
            logits_BK, features_BD = network(images_BCHW)
            if live:
                with torch.no_grad():
                    answer_BK, answer_BD = teacher(images_BCHW)
                taught = answer_BK.float(), answer_BD.float()
        optimizer.zero_grad(set_to_none=kind == "cpu")
        features_BD = features_BD.float()
        loss = _loss(logits_BK.float(), features_BD, projector(features_BD), *taught)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return _recorded(step) if kind == "cuda" else step


def _loss(
    logits_BK: Tensor,
    features_BD: Tensor,
    projected_BD: Tensor,
    teacher_BK: Tensor,
    wide_BD: Tensor,
) -> Tensor:
    """KD at temperature 4, normalised features and relations, weighted 1, 3 and 1."""
    soft_BK, target_BK = F.log_softmax(logits_BK / 4, 1), F.log_softmax(teacher_BK / 4, 1)
    kd = F.kl_div(soft_BK, target_BK, reduction="batchmean", log_target=True) * 16
    taught_BD = F.normalize(wide_BD, dim=1)
    explicit = (F.normalize(projected_BD, dim=1) - taught_BD).square().sum(1).mean()
    own_BD = F.normalize(features_BD, dim=1)
    itself = torch.eye(len(own_BD), dtype=torch.bool, device=own_BD.device)
    student_BB, teacher_BB = (
        F.log_softmax((f @ f.T / 0.1).masked_fill(itself, -1e4), 1) for f in (own_BD, taught_BD)
    )
    implicit = F.kl_div(student_BB, teacher_BB, reduction="batchmean", log_target=True)
    return kd + 3 * explicit + implicit


def _recorded(step: Callable[[], object]) -> Callable[[], object]:
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(5):
            step()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def matrix_rate(clock: Clock) -> float:
    """Return the FLOP/s of a product of two large bfloat16 matrices."""
    side = 8192 if clock.device == "cuda" else 512
    one, other = (
        torch.randn(side, side, device=clock.device, dtype=torch.bfloat16) for _ in range(2)
    )
    return 2 * side**3 / clock.seconds(lambda: one @ other, 10)


def flops_of_step(workload: Workload) -> int:
    """Return the floating-point operations of one image, forward and backward."""
    network = workload.student.build(CLASSES, workload.task.channels)
    counter = FlopCounterMode(display=False)
    with counter:
        network(
            torch.zeros(2, workload.task.channels, *workload.task.image_shape[:2])
        ).sum().backward()
    return int(counter.get_total_flops()) // 2


def training(name: str, workload: Workload, clock: Clock, rate: float) -> dict[str, Any]:
    """Return images per second of the platform's loop and of the bare one, by precision."""
    inputs, device, found = workload.inputs(), clock.device, dict[str, Any]()
    kinds = {"cached": Crop(), "live": Crop(answer="live")}
    for precision in ("float32", "bfloat16"):
        for kind, view in kinds.items():
            step = bare_step(workload, inputs, device, precision, kind == "live")
            bare = workload.batch / clock.seconds(step)
            run = workload.run(inputs, device, precision, view)
            speed = workload.batch / clock.seconds(run._train_step)
            found[f"{precision}, teacher {kind}"] = {
                "run": speed,
                "bare": bare,
                "run / bare": speed / bare,
            }
            if kind == "cached":
                share = speed * flops_of_step(workload) / rate
                found[f"{precision}, teacher {kind}"]["share of matrix rate"] = share
    for what, row in found.items():
        print(f"{name}: {what}: " + ", ".join(f"{k} {v:,.4g}" for k, v in row.items()), flush=True)
    return found


def scoring(workload: Workload, clock: Clock) -> dict[str, Any]:
    """Return images per second of the teacher's answers, by the platform and bare."""
    inputs, device, found = workload.inputs(), clock.device, dict[str, Any]()
    assert inputs.teacher is not None
    scorer = Scorer(inputs.teacher, workload.task, device)
    seconds = clock.seconds(lambda: scorer(inputs.images_NHWC), 1)
    found["platform, float32, batches of 256"] = workload.rows / seconds
    images_NHWC = torch.from_numpy(inputs.images_NHWC).to(device)
    network = inputs.teacher.build(workload.task).to(device).eval()
    for precision, size in (("float32", 256), ("float32", 2048), ("bfloat16", 2048)):

        def bare(size: int = size) -> None:
            for part in images_NHWC.split(size):
                network(normalised(part, workload.task))

        reduced = precision == "bfloat16"
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=reduced):
            found[f"bare, {precision}, batches of {size}"] = workload.rows / clock.seconds(bare, 1)
    for what, speed in found.items():
        print(f"scoring: {what}: {speed:,.0f} images/s", flush=True)
    return found


def side_by_side(counts: tuple[int, ...], seconds: float, device: str) -> dict[str, float]:
    """Return steps per second of so many processes together, each with a student of `digits`."""
    found = dict[str, float]()
    for count in counts:
        command = [sys.executable, __file__, "--one", str(seconds), "--device", device]
        others = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)
        ]
        found[str(count)] = sum(float(other.communicate()[0]) for other in others)
        print(f"side by side: {count}: {found[str(count)]:,.0f} steps/s in all", flush=True)
    return found


def one_of_many(seconds: float, device: str) -> None:
    """Train a small student for a while and print its steps per second."""
    workload = digits(small=False)
    run = workload.run(workload.inputs(), device, "float32", None)
    run.advance(20)
    clock, start, steps = Clock(device, 1, 1), time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        run.advance(run.step + 20)
        steps += 20
    clock.wait()
    print(steps / (time.perf_counter() - start))


def same_bits(workload: Workload, device: str) -> dict[str, Any]:
    """Return whether runs repeat themselves, and equal those without a graph, to the last bit.

    Each loss is tried for itself, with crops, second views and maps where it reads them.
    """
    inputs, found = workload.inputs(), dict[str, Any]()
    plain = replace(workload.experiment(Crop()), explicit=None, implicit=None)
    for loss in [kind.example() for kind in LOSSES]:
        experiment = replace(plain, implicit=loss)
        runs = [
            Run(Cell(experiment=experiment, block=Block(seed=1)), inputs, device) for _ in range(3)
        ]
        recorded = runs[0].recorded is not None
        runs[2].recorded = None
        for run in runs:
            run.advance(12)
        first, again, without = (run.objective.state_dict() for run in runs)
        found[type(loss).__name__] = {
            "graph": recorded,
            "again": all(value.equal(again[name]) for name, value in first.items()),
            "without graph": all(value.equal(without[name]) for name, value in first.items()),
        }
        print(f"same bits: {type(loss).__name__}: {found[type(loss).__name__]}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, help="JSON file for all figures")
    parser.add_argument("--small", action="store_true", help="small networks and few steps")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    use_deterministic(1)
    if arguments.one is not None:
        return one_of_many(arguments.one, arguments.device)
    small, device = arguments.small, arguments.device
    clock = Clock(device, arguments.rounds, 1 if small else 30)
    rate = matrix_rate(clock)
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    print(f"{name}, PyTorch {torch.__version__}: {rate / 1e12:.3g} TFLOP/s in bfloat16", flush=True)
    found = {
        "device": name,
        "torch": torch.__version__,
        "rounds": arguments.rounds,
        "matrix TFLOP/s": rate / 1e12,
        "same bits": same_bits(digits(small), device),
        "ResNet-34 -> ResNet-18": training("pair", pair(small), clock, rate),
        "digits": training("digits", digits(small), clock, rate),
        "scoring": scoring(pair(small), clock),
        "side by side": side_by_side((1,) if small else (1, 2, 4, 8), 0.5 if small else 4, device),
    }
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(f"written: {arguments.out}")


if __name__ == "__main__":
    main()
