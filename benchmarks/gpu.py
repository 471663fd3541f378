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
timings of some steps; one side is timed after the other. With `--small` it runs anywhere in
seconds, to see that it works.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parents[1]))  # where the package is not installed

from benchmarks.gpu_workloads import CLASSES, Workload, bare_step, digits, pair
from dfkd.data.images.transforms import Crop, normalised
from dfkd.experiment import Cell
from dfkd.method.losses import LOSSES
from dfkd.scores import Scorer
from dfkd.seeding import Block, use_deterministic
from dfkd.training.distill import Run


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
