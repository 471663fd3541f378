"""A trial of a search over several workers: a Ray Train run of its own, which costs 20 s."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ray
import ray.train
from ray.train.torch import TorchConfig, TorchTrainer
from torch import Tensor

from dfkd.execution.compute import Compute
from dfkd.execution.shared_run import SharedRun
from dfkd.seeding import use_deterministic
from dfkd.storage import Storage, layout
from dfkd.storage.lease import Holder, Lease, Say, Wait, log
from dfkd.storage.ledger import Ledger, Outcome
from dfkd.storage.scratch import scratch_folder
from dfkd.training.cells import Computation, Job
from dfkd.training.inputs import MappedInputs


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
