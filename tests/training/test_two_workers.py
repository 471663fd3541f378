"""What losses train and remember, over two processes, without Ray: the numbers of one."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dfkd.data.images.transforms import Crop
from dfkd.experiment import Cell, Experiment, Schedule
from dfkd.method.losses import CRD, FitNet, Loss, NTXent, PooledFeatures, ReviewKD
from dfkd.models.networks import SmallResNet
from dfkd.seeding import Block, use_deterministic
from dfkd.training.distill import Inputs, Run

STEPS = 4
LOSSES = {CRD: 0.8, ReviewKD: 0.5, FitNet: 1.0, NTXent: 1.0}


def experiment_with(tiny: Experiment, kind: type[Loss], per_row: int = 0) -> Experiment:
    """GroupNorm in the student, since BatchNorm sees its worker's part only.

    SGD, since Adam makes much of the last bits.
    """
    return replace(
        tiny,
        student=SmallResNet(width=8, stem_stride=2, norm="group"),
        explicit=None,
        implicit=replace(kind.example(), weight=LOSSES.get(kind, 1.0)),
        views=Crop(padding=1, flip=False, answer="live", per_row=per_row),
        schedule=Schedule(
            steps=STEPS, batch=16, evaluations=1, learning_rate=0.02, optimizer="sgd"
        ),
    )


def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
        return number


def work(rank: int, folder: Path, number: int) -> None:
    """One of the two processes."""
    from dfkd.execution.shared_run import SharedRun

    use_deterministic(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(number)}
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    given: dict[str, Any] = torch.load(folder / "given", weights_only=False)
    run = SharedRun(given["cell"], given["material"], "cpu")
    run.advance(STEPS // 2)
    resumed = SharedRun(given["cell"], given["material"], "cpu")
    resumed.restore(run.state())
    resumed.advance(STEPS)
    torch.save(resumed.objective.state_dict(), folder / f"state {rank}")
    torch.distributed.destroy_process_group()


@pytest.mark.slow  # two processes that import Ray: 20 s each
@pytest.mark.parametrize(
    ("kind", "per_row"), [(CRD, 0), (ReviewKD, 0), (FitNet, 0), (NTXent, 0), (PooledFeatures, 3)]
)
def test_two_processes_give_the_numbers_of_one(
    tiny: Experiment, inputs: Inputs, tmp_path: Path, kind: type[Loss], per_row: int
) -> None:
    cell = Cell(experiment=experiment_with(tiny, kind, per_row), block=Block(seed=1))
    torch.save({"cell": cell, "material": inputs}, tmp_path / "given")
    torch.multiprocessing.spawn(work, (tmp_path, port()), nprocs=2)  # type: ignore[attr-defined]
    first, second = (torch.load(tmp_path / f"state {rank}") for rank in (0, 1))
    alone = Run(cell, inputs)
    start = {name: value.clone() for name, value in alone.objective.state_dict().items()}
    alone.advance(STEPS)
    mine = alone.objective.state_dict()
    assert mine.keys() == first.keys() == second.keys()
    for name, value in mine.items():
        assert first[name].equal(second[name]), name  # what is remembered as well
        torch.testing.assert_close(first[name], value, atol=2e-5, rtol=1e-4)
    assert any(not mine[name].equal(start[name]) for name in mine)
