"""One cell over several workers with Ray Train: each works on its part of every batch.

Every worker draws the whole batch's rows and masks, trains on its part of the images and puts the
student's outputs together again, with gradients, before the losses: relations see the whole batch,
and the loss is the one of a single worker. BatchNorm in the student normalises with its worker's
part only, so students with BatchNorm agree between numbers of workers in distribution, not in
numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import ray
import ray.train
import torch
import torch.distributed
from numpy.typing import NDArray
from ray.train.torch import TorchConfig, TorchTrainer
from torch import Tensor
from torch.distributed.nn.functional import all_gather
from torch.nn.parallel import DistributedDataParallel

from dfkd.execution.compute import Compute
from dfkd.experiment import Cell
from dfkd.method.losses import Outputs
from dfkd.method.selection import Redraw
from dfkd.seeding import use_deterministic
from dfkd.storage import Storage, layout
from dfkd.storage.lease import Holder, Lease, Say, Wait, log
from dfkd.storage.ledger import Ledger, Outcome
from dfkd.storage.scratch import scratch_folder
from dfkd.training.cells import Computation, Job, look_up
from dfkd.training.distill import Run
from dfkd.training.inputs import Inputs, MappedInputs
from dfkd.training.teacher_outputs import LiveTeacher


class SharedRun(Run):
    """A run of which this worker does its part.

    Raises ValueError if a batch cannot be split evenly.
    """

    def __init__(self, cell: Cell, inputs: Inputs, device: str) -> None:
        super().__init__(cell, inputs, device)
        self.rank, self.workers = torch.distributed.get_rank(), torch.distributed.get_world_size()
        batch = self.experiment.schedule.batch
        if batch % self.workers:
            raise ValueError(
                f"schedule.batch must be a multiple of the workers, but got {batch=}, "
                f"workers={self.workers!r}"
            )
        # what is no parameter need not be sent round: statistics are those of the first worker,
        # which writes the student; what a loss remembers of each row is equal everywhere, because
        # losses see the whole batch
        self.shared = DistributedDataParallel(self.objective, broadcast_buffers=False)

    def terms(
        self, views: Sequence[Tensor], teacher: Outputs, keep_BK: Tensor | None, progress: float
    ) -> dict[str, Tensor]:
        """Return the losses of the whole batch; the student sees this worker's part only."""
        parts = [self.part(images_BCHW) for images_BCHW in views]
        terms: dict[str, Tensor] = self.shared(parts, teacher, keep_BK, progress, gather=_gather)
        return terms

    def drawn(self, redraw: Redraw) -> NDArray[np.int64]:
        """Return the first worker's draw.

        Statistics of BatchNorm differ between workers, and so might what they draw.
        """
        places = torch.from_numpy(super().drawn(redraw)).to(self.device)
        torch.distributed.broadcast(places, 0)
        return places.cpu().numpy()

    def ask(self, teacher: LiveTeacher, images_BCHW: Tensor) -> Outputs:
        """Return what the teacher says of the batch, each worker having asked about its part.

        What a teacher in eval mode says of an image depends on that image alone.
        """
        with torch.no_grad():
            return super().ask(teacher, self.part(images_BCHW)).each(_gather)

    def seed_of_draws(self, step: int) -> int:
        """Return a seed that differs between workers, which draw for different images."""
        return super().seed_of_draws(step) + self.rank

    def part(self, whole: Tensor) -> Tensor:
        """Return this worker's part of a batch."""
        size = len(whole) // self.workers
        return whole[self.rank * size : (self.rank + 1) * size]


def _gather(part: Tensor) -> Tensor:
    return torch.cat(all_gather(part))  # type: ignore[no-untyped-call]


class _NoLease:
    """A `Lease` that is always to be had: the first worker holds the cell's for all."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass

    def holder(self) -> Holder | None:
        return None


class FollowersLedger(Ledger):
    """The ledger of all workers but the first: they read checkpoints and write nothing."""

    def write(self, outcome: Outcome, weights: dict[str, Tensor] | None) -> None:
        pass

    def checkpoint(self, cell: str, state: dict[str, Any]) -> None:
        pass

    def lease(self, cell: str) -> Lease:
        return _NoLease()


def train_worker(config: dict[str, Any]) -> None:
    """Compute a cell in each Train worker, of which the first owns it.

    Every report to Ray Train is one point of the curve.
    """
    job, where = config["job"], config["where"]
    use_deterministic(where.cpus)
    leads = ray.train.get_context().get_world_rank() == 0
    ledger = Ledger(where.storage) if leads else FollowersLedger(where.storage)
    inputs = config["packed"].open()
    computation = Computation(
        job if leads else replace(job, read_test=False),
        inputs,
        ledger,
        _device(where),
        run_type=SharedRun,
    )
    try:
        while not computation.ended:
            ray.train.report(computation.report())
    finally:
        computation.close()


def _device(where: Compute) -> str:
    return str(ray.train.torch.get_device()) if where.gpus else "cpu"


def fit(
    job: Job, mapped: MappedInputs, where: Compute, callbacks: list[Any], say: Say = log
) -> None:
    """Compute one cell with one TorchTrainer.

    That costs 20 s and more: it is for cells that need several devices, not for small ones.
    """
    _wait_for(job, where.storage, say)
    with scratch_folder(where.storage, layout.TRAIN_SCRATCH) as scratch:
        trainer = TorchTrainer(
            train_worker,
            train_loop_config={"job": job, "packed": mapped, "where": where},
            torch_config=TorchConfig(backend="nccl" if where.gpus else "gloo"),
            scaling_config=ray.train.ScalingConfig(
                num_workers=where.workers,
                use_gpu=bool(where.gpus),
                resources_per_worker={
                    "CPU": where.cpus,
                    **({"GPU": where.gpus} if where.gpus else {}),
                },
            ),
            run_config=ray.train.RunConfig(
                name=job.name,
                storage_path=str(scratch),
                callbacks=callbacks,
                # -1, the default, would try to start workers for ever on a cluster that cannot hold
                # them
                failure_config=ray.train.FailureConfig(max_failures=2, controller_failure_limit=5),  # type: ignore[call-arg]
            ),
        )
        trainer.fit()


def _wait_for(job: Job, storage: Storage, say: Say) -> None:
    """Wait until no other driver computes this cell.

    The driver waits, not the workers: of these, some would wait longer and all would hang for good.
    """
    lease = Ledger(storage).lease(job.name)
    wait = Wait(lease, job.shown, say)
    while not lease.acquire():
        wait.poll()
    lease.release()


def distribute(job: Job, mapped: MappedInputs, where: Compute, say: Say) -> Outcome:
    """Return the cell's outcome, computed by several workers unless the ledger has it."""
    ledger = Ledger(where.storage)
    outcome = look_up(job, ledger)
    if outcome is None or not outcome.final or (job.read_test and "test" not in outcome.metrics):
        fit(job, mapped, where, [], say)
        outcome = look_up(job, ledger)
    assert outcome is not None
    return outcome
