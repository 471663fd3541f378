"""Groups of workers on Ray Train: the numbers of one worker, cell after cell, whatever is lost."""

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dfkd.execution import scoring
from dfkd.execution.compute import Compute
from dfkd.execution.ray_executor import RayExecutor, ray_executor
from dfkd.experiment import Cell, Experiment
from dfkd.models.networks import SmallResNet
from dfkd.reporting.console import Console
from dfkd.seeding import Block
from dfkd.storage import FolderStorage
from dfkd.storage.ledger import Ledger
from dfkd.storage.outcome import Outcome
from dfkd.training.cells import compute
from dfkd.training.inputs import obtain


@pytest.fixture(scope="module")
def cell(tiny: Experiment) -> Cell:
    """20 steps, a projector included; GroupNorm: BatchNorm sees its worker's part only.

    SGD: AdamW makes steps of full size from the last bits of tiny gradients, on some processors
    more than on others.
    """
    experiment = replace(
        tiny,
        student=SmallResNet(width=8, stem_stride=2, norm="group"),
        teacher=replace(tiny.teacher, network=SmallResNet(width=16, stem_stride=2)),
        schedule=replace(
            tiny.schedule, batch=16, evaluations=2, learning_rate=0.02, optimizer="sgd"
        ),
    )
    return Cell(experiment=experiment, block=Block(seed=3))


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> FolderStorage:
    return FolderStorage(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def executor(cell: Cell, storage: FolderStorage) -> Iterator[RayExecutor]:
    with ray_executor([cell], Compute(storage=storage, workers=2), Console(quiet=True)) as opened:
        yield opened


def train_workers() -> list[int]:
    """The processes of all groups' workers below this one."""
    parent, title = dict[int, int](), dict[int, str]()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent[int(folder.name)] = int(
                folder.joinpath("stat").read_text().rsplit(")")[-1].split()[1]
            )
            title[int(folder.name)] = folder.joinpath("cmdline").read_text()

    def is_ours(process: int) -> bool:
        return process == os.getpid() or (process in parent and is_ours(parent[process]))

    return [
        process for process, text in title.items() if "TrainWorker" in text and is_ours(process)
    ]


def test_ray_data_writes_the_scores_that_a_few_tasks_have_written(
    executor: RayExecutor,
    cell: Cell,
    storage: FolderStorage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It stands here since Ray has started here, and first: a group keeps all CPUs."""
    again = FolderStorage(tmp_path)
    monkeypatch.setattr(scoring, "FEW", 0)
    source = obtain(cell, again)
    assert sum(scoring.score(cell, source, Compute(storage=again))) == source.pool.rows
    by_tasks, by_ray_data = (
        {path.name: path.read_bytes() for path in root.rglob("scores/**/*.parquet")}
        for root in (storage.root, again.root)
    )
    assert by_tasks == by_ray_data and by_tasks


@pytest.mark.slow  # three groups start, 20 s and more each
def test_a_group_computes_cell_after_cell_and_survives_a_lost_worker(
    executor: RayExecutor, cell: Cell, storage: FolderStorage, tmp_path: Path
) -> None:
    other = replace(cell, block=Block(seed=4))
    odd = replace(
        cell,
        experiment=replace(
            cell.experiment, schedule=replace(cell.experiment.schedule, batch=15, steps=21)
        ),
    )
    jobs = [executor.run_context.job(c, read_test=c is cell) for c in (odd, cell, other)]
    killed = list[int]()

    def kill_once(outcome: Outcome) -> None:
        if not killed:
            killed.append(train_workers()[0])
            os.kill(killed[0], signal.SIGKILL)

    done, [failure] = executor.compute("two of three", jobs, kill_once)
    assert killed and list(done) == [jobs[1].name, jobs[2].name]
    assert failure.job == jobs[0] and failure.reason.endswith("but got batch=15, workers=2")
    workers = train_workers()
    assert len(workers) == 2 and killed[0] not in workers

    apart = FolderStorage(tmp_path)
    again, _ = executor.apart(apart).compute("in one group", jobs[1:], lambda outcome: None)
    assert [again[name].points for name in done] == [outcome.points for outcome in done.values()]
    for name in done:
        one, two = Ledger(storage).weights(name), Ledger(apart).weights(name)
        assert all(torch.equal(one[key], two[key]) for key in two)
    assert train_workers() == workers  # they have stayed
    left = {file.name for root in (storage.root, tmp_path) for file in root.rglob("*")}
    assert not left & {"lease", "checkpoint.pt"}


def test_two_workers_and_one_give_the_same_weights(
    executor: RayExecutor, cell: Cell, storage: FolderStorage
) -> None:
    job = executor.run_context.job(cell, read_test=True)
    done, failures = executor.compute("two workers", [job], lambda outcome: None)
    alone = replace(job, environment=replace(job.environment, workers=1))
    one = compute(alone, executor.inputs(cell).open(), storage)
    assert not failures
    two = done[job.name]
    assert two.state == "finished" and 0 < two.metrics["test"] < 1
    assert one.cell != two.cell  # another environment is another cell
    ledger = Ledger(storage)
    mine, others = ledger.weights(one.cell), ledger.weights(two.cell)
    worst = max(float((mine[name] - others[name]).abs().max()) for name in mine)
    assert worst <= 1e-5, worst
    moved = cell.experiment.student.build(10, 1).state_dict()
    assert any(not torch.equal(mine[name], moved[name]) for name in mine)
