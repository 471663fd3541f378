"""The cluster that a plan is made for, and what it costs."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

import torch

from dfkd.execution.checks.capacity import Machines, cells_on, needed, workers_on
from dfkd.execution.compute import Compute

PRICE = re.compile(r"(\d+(?:\.\d+)?)/(cpu-|gpu-)?h")
DEVICES = {None: "machine", "cpu-": "CPU", "gpu-": "GPU"}


@dataclass(frozen=True)
class Price:
    """What an hour costs, in any currency. per: "machine", "CPU" or "GPU"."""

    an_hour: float
    per: str

    @classmethod
    def parse(cls, text: str) -> Price:
        """Return what "2.5/h" means, of a machine; "2.5/gpu-h" and "0.05/cpu-h" of a device."""
        match = PRICE.fullmatch(text)
        if match is None:
            raise ValueError(
                "--price is 2.5/h for a machine, 2.5/gpu-h for a GPU or 0.05/cpu-h for a CPU, but "
                f"got {text!r}"
            )
        return cls(float(match[1]), DEVICES[match[2]])


def cluster_of(machines: int, cpus: int | None, gpus: int | None) -> Machines:
    """Return machines that are alike; what is not said of one is as on this machine."""
    cpus = os.cpu_count() or 1 if cpus is None else cpus
    gpus = torch.cuda.device_count() if gpus is None else gpus
    if machines < 1 or cpus < 1 or gpus < 0:
        raise ValueError(
            "a cluster has 1 machine or more with 1 CPU or more and 0 GPUs or more, but got "
            f"{machines=}, {cpus=}, {gpus=}"
        )
    return Machines(cpus=cpus, gpus=gpus, count=machines)


def side_by_side(cluster: Machines, compute: Compute) -> int:
    """Return how many cells run at a time. ValueError where the cluster cannot hold one."""
    if workers_on([cluster], compute) < compute.fewest:
        raise ValueError(
            f"one cell needs {needed(compute)}, but the cluster is {described(cluster)}: "
            "describe a larger one with --machines, --cpus-per-machine and --gpus-per-machine, or "
            "ask for less with --workers, --cpus or --gpus"
        )
    return cells_on([cluster], compute)


def described(cluster: Machines) -> str:
    """Return "4 machines with 16 CPU and 1 GPU"."""
    count = "1 machine" if cluster.count == 1 else f"{cluster.count:g} machines"
    gpus = f" and {cluster.gpus:g} GPU" if cluster.gpus else ""
    return f"{count} with {cluster.cpus:g} CPU{gpus}{'' if cluster.count == 1 else ' each'}"
