"""Every family of losses, and rules that remember, over two and three processes: those of one.

Without Ray: each world of processes is started once and computes all cases, one after the other.
"""

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dfkd.data.images.transforms import Crop
from dfkd.experiment import Cell, Experiment, Schedule
from dfkd.method.dropping import NoiseMatrix
from dfkd.method.losses import EXPLICIT, IMPLICIT, FitNet, Loss
from dfkd.method.sampling import ClassBalanced
from dfkd.method.selection import Confident, Dynamic
from dfkd.models.networks import SmallResNet
from dfkd.seeding import Block, use_deterministic
from dfkd.training.distill import Inputs, Run

STEPS = 20
LIVE = Crop(padding=1, flip=False, answer="live")
FAMILIES: dict[str, tuple[str, type[Loss]]] = {
    **{f"explicit {kind.__name__}": ("explicit", kind) for kind in EXPLICIT},
    **{f"implicit {kind.__name__}": ("implicit", kind) for kind in IMPLICIT},
}
RULES: dict[str, dict[str, Any]] = {
    "kept views": {"views": replace(LIVE, per_row=3)},
    "noise matrix": {"dropping": NoiseMatrix(accuracy=0.9)},
    "dynamic": {"selection": Dynamic(rule=Confident(rows=48), every=2)},
    "class balanced": {"selection": Confident(rows=100), "sampling": ClassBalanced()},
}
CASES = (*FAMILIES, *RULES)

pytestmark = pytest.mark.slow  # processes that import Ray, and 20 steps of each case in each


def case(name: str, tiny: Experiment) -> Cell:
    """GroupNorm in the student, since BatchNorm sees its worker's part only.

    SGD in small steps: Adam makes much of the last bits, and so does a ReLU that a large one turns.
    """
    schedule = Schedule(steps=STEPS, batch=12, evaluations=1, learning_rate=0.002, optimizer="sgd")
    plain = replace(
        tiny, student=SmallResNet(width=8, stem_stride=2, norm="group"), schedule=schedule
    )
    if name in RULES:
        return Cell(experiment=replace(plain, **RULES[name]), block=Block(seed=1))
    part, kind = FAMILIES[name]
    loss = kind.example()
    if kind is FitNet:  # at its published weight of 100 a step is large, whatever the rate
        loss = replace(loss, weight=1.0)
    alone = {"explicit": None, "implicit": None, part: loss}
    return Cell(experiment=replace(plain, views=LIVE, **alone), block=Block(seed=1))


def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
        return number


def work(rank: int, world: int, folder: Path, number: int) -> None:
    """One process of a world: in each case one run to the end, one from the state of its middle."""
    from dfkd.execution.shared_run import SharedRun

    use_deterministic(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(number)}
    torch.distributed.init_process_group("gloo", rank=rank, world_size=world)
    given: dict[str, Any] = torch.load(folder / "given", weights_only=False)
    for name, cell in given["cells"].items():
        run = SharedRun(cell, given["inputs"], "cpu")
        run.advance(STEPS // 2)
        resumed = SharedRun(cell, given["inputs"], "cpu")
        torch.save(run.state(), folder / f"{name} {rank}")
        resumed.restore(torch.load(folder / f"{name} {rank}"))
        for which, one in (("whole", run), ("resumed", resumed)):
            one.advance(STEPS)
            torch.save(one.objective.state_dict(), folder / f"{name} {rank} {which}")
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def cells(tiny: Experiment) -> dict[str, Cell]:
    return {name: case(name, tiny) for name in CASES}


@pytest.fixture(scope="module", params=[2, 3])
def world(
    request: pytest.FixtureRequest,
    cells: dict[str, Cell],
    inputs: Inputs,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[int, Path]]:
    """Return how many processes there were, and the folder with what they have computed."""
    folder: Path = tmp_path_factory.mktemp("world")
    torch.save({"cells": cells, "inputs": inputs}, folder / "given")
    arguments = (request.param, folder, port())
    torch.multiprocessing.spawn(work, arguments, nprocs=request.param)
    yield request.param, folder


@pytest.mark.parametrize("name", CASES)
def test_the_weights_are_those_of_one_process(
    world: tuple[int, Path], cells: dict[str, Cell], inputs: Inputs, name: str
) -> None:
    number, folder = world
    states, resumed = (
        [torch.load(folder / f"{name} {rank} {which}") for rank in range(number)]
        for which in ("whole", "resumed")
    )
    run = Run(cells[name], inputs)
    start = {key: value.clone() for key, value in run.objective.state_dict().items()}
    run.advance(STEPS)
    mine = run.objective.state_dict()
    assert all(state.keys() == mine.keys() for state in states)
    for key, value in mine.items():
        same = (*states, *resumed)  # to the last bit, memories as well
        assert all(state[key].equal(states[0][key]) for state in same), key
        torch.testing.assert_close(states[0][key], value, atol=1e-5, rtol=1e-5)
    assert any(not mine[key].equal(start[key]) for key in mine)
    if name == "noise matrix":
        assert mine["losses.dropping.weight"].abs().max() > 1e-3
    if name == "dynamic":
        assert len(run.batches.rows_N) < 48
