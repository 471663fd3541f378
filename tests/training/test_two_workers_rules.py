"""What rules remember or train while a student learns, over two processes: the numbers of one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_two_workers import STEPS, port, work

from dfkd.experiment import Cell, Experiment, Schedule
from dfkd.method.dropping import NoiseMatrix
from dfkd.method.sampling import ClassBalanced
from dfkd.method.selection import Confident, Dynamic
from dfkd.models.networks import SmallResNet
from dfkd.seeding import Block
from dfkd.training.distill import Inputs, Run

# 16 rows in batches of 16: half of them are drawn anew before every step but the first
CHANGES = {
    "noise matrix": {"dropping": NoiseMatrix(accuracy=0.9)},
    "dynamic": {"selection": Dynamic(rule=Confident(rows=16), every=1)},
    "class balanced": {"selection": Confident(rows=100), "sampling": ClassBalanced()},
}


@pytest.mark.slow  # two processes that import Ray: 20 s each
@pytest.mark.parametrize("name", CHANGES)
def test_two_processes_give_the_numbers_of_one(
    tiny: Experiment, inputs: Inputs, tmp_path: Path, name: str
) -> None:
    experiment = replace(
        tiny,
        **CHANGES[name],
        student=SmallResNet(width=8, stem_stride=2, norm="group"),
        schedule=Schedule(
            steps=STEPS, batch=16, evaluations=1, learning_rate=0.02, optimizer="sgd"
        ),
    )
    cell = Cell(experiment=experiment, block=Block(seed=1))
    torch.save({"cell": cell, "material": inputs}, tmp_path / "given")
    torch.multiprocessing.spawn(work, (tmp_path, port()), nprocs=2)  # type: ignore[attr-defined]
    first, second = (torch.load(tmp_path / f"state {rank}") for rank in (0, 1))
    alone = Run(cell, inputs)
    alone.advance(STEPS)
    for key, value in alone.objective.state_dict().items():
        assert first[key].equal(second[key]), key
        torch.testing.assert_close(first[key], value, atol=2e-5, rtol=1e-4)
    if name == "dynamic":
        assert alone.batches.since == STEPS - 1
    elif name == "noise matrix":
        assert alone.objective.state_dict()["losses.dropping.weight"].abs().max() > 1e-3
