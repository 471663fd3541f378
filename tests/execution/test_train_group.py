"""Ray Train: two workers compute the same cell as one."""

from dataclasses import replace
from pathlib import Path

import torch

from dfkd.execution.compute import Compute
from dfkd.execution.ray_executor import ray_executor
from dfkd.experiment import Cell, Experiment
from dfkd.models.networks import SmallResNet
from dfkd.reporting.console import Console
from dfkd.seeding import Block
from dfkd.storage import FolderStorage
from dfkd.storage.ledger import Ledger
from dfkd.training.cells import compute


def test_two_workers_and_one_give_the_same_weights(tiny: Experiment, tmp_path: Path) -> None:
    """20 steps at the same global batch, a projector included.

    GroupNorm: BatchNorm sees its worker's part only.
    """
    experiment = replace(
        tiny,
        student=SmallResNet(width=8, stem_stride=2, norm="group"),
        teacher=replace(tiny.teacher, network=SmallResNet(width=16, stem_stride=2)),  # type: ignore[call-arg]
        schedule=replace(tiny.schedule, steps=20, batch=16, evaluations=2),
    )
    cell = Cell(experiment=experiment, block=Block(seed=3))
    where = Compute(storage=FolderStorage(tmp_path), workers=2)
    with ray_executor([cell], where, Console(quiet=True)) as executor:
        job = executor.run_context.job(cell, read_test=True)
        done, failures = executor.compute("two workers", [job], lambda outcome: None)
        alone = replace(job, environment=replace(job.environment, workers=1))
        one = compute(alone, executor.inputs(cell).open(), FolderStorage(tmp_path))
    assert not failures
    two = done[job.name]
    assert two.state == "finished" and 0 < two.metrics["test"] < 1
    assert one.cell != two.cell  # another environment is another cell
    ledger = Ledger(FolderStorage(tmp_path))
    mine, others = ledger.weights(one.cell), ledger.weights(two.cell)
    worst = max(float((mine[name] - others[name]).abs().max()) for name in mine)
    assert worst <= 1e-5, worst
    moved = experiment.student.build(10, 1).state_dict()
    assert any(not torch.equal(mine[name], moved[name]) for name in mine)
