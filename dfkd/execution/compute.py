"""Compute: where cells are computed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dfkd.storage import Storage

PRECISIONS = ("float32", "bfloat16", "auto")


@dataclass(frozen=True, kw_only=True)
class Compute:
    """WHERE cells are computed; no part of what they are.

    storage: seen by every node. tracking_uri: an MLflow server, None for a database in the storage.
    workers: Train workers for each cell; with 1 a warm process computes it. least_workers: where
    the cluster holds fewer than `workers`, all of them run on the CPUs of so many or more, and a
    cell's bits stay the same; None: of all. cpus, gpus: of one worker. precision: of the networks
    in training steps, see dfkd/training/precision.py; "auto" is what the workers' hardware is fast
    in. compiled: whether torch.compile makes their kernels, see dfkd/training/compiled.py.
    concurrency: cells at a time, None for as many as the cluster holds.
    accept_changed_code: use cells of a user's class whose code has changed since.
    """

    storage: Storage
    tracking_uri: str | None = None
    workers: int = 1
    least_workers: int | None = None
    cpus: int = 1
    gpus: float = 0.0
    precision: str = "float32"
    compiled: bool = False
    concurrency: int | None = None
    accept_changed_code: bool = False

    def __post_init__(self) -> None:
        if self.workers < 1 or self.cpus < 1 or not self.gpus >= 0:
            raise ValueError(
                "workers and cpus must be 1 or more, gpus 0 or more, but got "
                f"workers={self.workers}, cpus={self.cpus}, gpus={self.gpus}"
            )
        if not 1 <= self.fewest <= self.workers:
            raise ValueError(
                "of a range of workers the smaller number comes first, and is 1 or more, but got "
                f"least_workers={self.least_workers}, workers={self.workers}"
            )
        if self.elastic and self.gpus:
            raise ValueError(
                f"a range of workers, {self.fewest}:{self.workers}, is for CPUs alone: on GPUs "
                "each worker needs its own, as NCCL refuses two on one: ask for one number with "
                "--workers, or leave out --gpus"
            )
        if self.precision not in PRECISIONS:
            raise ValueError(
                f"precision must be one of {', '.join(PRECISIONS)}, but got {self.precision!r}"
            )
        if self.concurrency is not None and self.concurrency < 1:
            raise ValueError(
                f"concurrency must be 1 or more, but got concurrency={self.concurrency!r}"
            )

    @property
    def device(self) -> str:
        """Return "cpu" or "cuda"."""
        return "cuda" if self.gpus else "cpu"

    @property
    def fewest(self) -> int:
        """Return for how many workers there must be room."""
        return self.workers if self.least_workers is None else self.least_workers

    @property
    def elastic(self) -> bool:
        """Return whether a cell's workers may share the CPUs of fewer."""
        return self.fewest < self.workers

    def of_one_worker(self) -> Compute:
        """Return the same for what a single worker does."""
        return replace(self, workers=1, least_workers=None)


def check_batch(batch: int, workers: int) -> None:
    """Raise ValueError where workers cannot share so many images evenly."""
    if batch % workers:
        raise ValueError(
            f"schedule.batch must be a multiple of the workers, but got {batch=}, {workers=}: ask "
            "for another number with --workers, or change it with --set schedule.batch=..."
        )


def check_machine(compute: Compute) -> None:
    """Raise ValueError where this machine lacks what one worker needs.

    That is a GPU that PyTorch sees, or a compiler for `compiled`.
    """
    import torch  # takes seconds, and commands that compute nothing need none

    from dfkd.training.compiled import check_compiler

    if compute.compiled:
        check_compiler(compute.device)
    if compute.gpus and compute.gpus > (found := torch.cuda.device_count()):
        raise ValueError(
            f"--gpus {compute.gpus:g} asks for more than the {found} GPUs that PyTorch sees here: "
            "leave out --gpus, or check the driver and that PyTorch was installed with CUDA"
        )
