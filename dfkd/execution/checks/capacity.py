"""What a cluster holds, and may grow to, against what cells ask for."""

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import ray
import ray._private.state

from dfkd.execution.compute import Compute
from dfkd.storage.variables import variable

NEARLY = 1e-9  # 0.1 + 0.2 of a GPU
FINEST = 10_000  # Ray counts in parts of this size


@dataclass(frozen=True, kw_only=True)
class Machines:
    """Machines that are alike. count: how many; infinite where nothing limits them."""

    cpus: float
    gpus: float
    count: float = 1

    def workers(self, compute: Compute) -> float:
        """Return how many workers of a cell these machines hold: none is split between two."""
        return self.sharing(compute.cpus, compute)

    def sharing(self, cpus: float, compute: Compute) -> float:
        """Return how many they hold of workers with so many CPUs each."""
        each = math.floor(self.cpus / cpus + NEARLY)
        if compute.gpus:
            each = min(each, _shares(self.gpus, compute.gpus))
        return each * self.count if each else 0


def _shares(gpus: float, of_each: float) -> int:
    """Return how many workers so many GPUs serve: Ray gives a share of one, or whole ones."""
    if of_each >= 1:
        return math.floor(gpus / of_each + NEARLY)
    return math.floor(gpus + NEARLY) * math.floor(1 / of_each + NEARLY)


def workers_on(machines: Iterable[Machines], compute: Compute) -> float:
    """Return how many workers fit at a time."""
    return sum(one.workers(compute) for one in machines)


def cpus_each(machines: Sequence[Machines], compute: Compute, groups: int = 1) -> float:
    """Return how many CPUs each worker can have while all of so many groups run.

    These are `compute.cpus`. For a range of workers they are less where machines hold some of its
    workers and not all: as many as can be, since the slowest worker sets the pace.
    """
    count, whole = groups * compute.workers, float(compute.cpus)
    if not compute.elastic or workers_on(machines, compute) < compute.fewest:
        return whole
    parts = {one.cpus / n for one in machines for n in range(1, count + 1)}
    smaller = sorted((part for part in parts if part < whole), reverse=True)
    shares = (math.floor(share * FINEST + NEARLY) / FINEST for share in (whole, *smaller))
    return next(share for share in shares if holds(machines, compute, groups, share))


def holds(machines: Iterable[Machines], compute: Compute, groups: int, cpus: float) -> bool:
    """Return whether so many groups run at a time whose workers have so many CPUs each."""
    return sum(one.sharing(cpus, compute) for one in machines) >= groups * compute.workers


def cells_on(machines: Iterable[Machines], compute: Compute) -> int:
    """Return how many cells run side by side, at least 1."""
    fits = workers_on(machines, compute) // compute.workers
    return int(max(1, min(fits, compute.concurrency or fits)))


def check_this_machine(compute: Compute) -> None:
    """Raise ValueError if a Ray of this machine alone cannot hold one cell, going by its CPUs.

    It needs no Ray, which takes seconds to start and counts at most as many CPUs.
    """
    here = Machines(cpus=os.cpu_count() or 1, gpus=0)
    if (fits := here.workers(replace(compute, gpus=0.0))) < compute.fewest:
        raise ValueError(
            f"one cell needs {_on_a_machine(compute)}, but this machine has {here.cpus:g} CPU, "
            f"which makes {fits:g} such workers: ask for fewer with --workers or --cpus, or use a "
            "cluster"
        )


def check_capacity(compute: Compute) -> None:
    """Raise ValueError if the cluster, as it stands and as it may grow, cannot hold one cell."""
    now, later = machines_now(), machines_later()
    if later is None or max(workers_on(m, compute) for m in (now, later)) >= compute.fewest:
        return
    cpus, gpus = (max((getattr(m, kind) for m in now), default=0) for kind in ("cpus", "gpus"))
    grown = f", and {workers_on(later, compute):g} when it has grown" if later else ""
    has = amount(sum(m.cpus for m in now), sum(m.gpus for m in now), compute)
    raise ValueError(
        f"one cell needs {_on_a_machine(compute)}, but the cluster has {has} in all and at most "
        f"{amount(cpus, gpus, compute)} on a machine, which makes {workers_on(now, compute):g} "
        f"such workers{grown}: ask for fewer with --workers, --cpus or --gpus, or use a larger "
        "cluster"
    )


def _on_a_machine(compute: Compute) -> str:
    if compute.fewest > 1:
        return needed(compute)
    return f"{amount(compute.cpus, compute.gpus, compute)} on one machine"


def needed(compute: Compute) -> str:
    """Return what one cell needs at least: "2 x 1 CPU"."""
    return f"{compute.fewest} x {amount(compute.cpus, compute.gpus, compute)}"


def amount(cpus: float, gpus: float, compute: Compute) -> str:
    """Return "2 CPU", or "2 CPU and 1 GPU" where cells use GPUs."""
    return f"{cpus:g} CPU" + (f" and {gpus:g} GPU" if compute.gpus else "")


def free(compute: Compute) -> str:
    """Return what is free now: "0 of 4 CPU free"."""
    has, left = ray.cluster_resources(), ray.available_resources()
    kinds = ("CPU", "GPU") if compute.gpus else ("CPU",)
    said = [f"{left.get(kind, 0):g} of {has.get(kind, 0):g} {kind}" for kind in kinds]
    return f"{' and '.join(said)} free"


def machines_now() -> list[Machines]:
    """Return the machines of the cluster that are alive."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [Machines(cpus=has.get("CPU", 0), gpus=has.get("GPU", 0)) for has in nodes]


def machines_later() -> Sequence[Machines] | None:
    """Return the machines that the cluster has when it has grown; [] where it does not grow.

    None where it grows and does not say how far: only a newer autoscaler, KubeRay's among them,
    puts that where drivers read it. Ray Train and Ray Data look there as well; Ray has no public
    name for it, so a test fails when it is gone.
    """
    config = ray._private.state.state.get_cluster_config()
    if config is None or not config.node_group_configs:
        return None if _autoscales() else []
    return [
        Machines(
            cpus=group.resources.get("CPU", 0),
            gpus=group.resources.get("GPU", 0),
            count=group.max_count if group.max_count >= 0 else math.inf,
        )
        for group in config.node_group_configs
    ]


def _autoscales() -> bool:
    """Return whether the cluster that we joined may grow to what is asked of it."""
    return variable("RAY_ADDRESS") is not None and any(
        name.startswith("RAY_CLUSTER_AUTOSCALER") or name == "RAY_OVERRIDE_RESOURCES"
        for name in os.environ
    )
