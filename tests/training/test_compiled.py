"""Compiled passes: part of the environment, the same bits again, near to uncompiled ones."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from dfkd.experiment import Cell
from dfkd.models.teachers import weights_digest
from dfkd.seeding import Block
from dfkd.testing.runs import same, small_experiment, small_inputs, through_a_file
from dfkd.training.compiled import check_compiler
from dfkd.training.distill import Run
from dfkd.training.environment import this_environment

STEPS = 6
AGAIN = """
from test_compiled import run, STEPS
from dfkd.models.teachers import weights_digest
trained = run(compiled=True)
trained.advance(STEPS)
print(weights_digest(trained.objective.state_dict()))
"""


def run(compiled: bool) -> Run:
    return Run(
        Cell(experiment=small_experiment(), block=Block(seed=0)), small_inputs(), compiled=compiled
    )


def test_an_environment_without_compiled_passes_is_what_it_always_was() -> None:
    plain = this_environment("cpu")
    assert plain.compiled is False
    recorded = replace(plain, device="cpu AVX512", torch="2.14.1+cu130", kernels=1)
    assert str(recorded) == "84327d59" != str(replace(recorded, kernels=2))
    assert str(plain) != str(this_environment("cpu", compiled=True))


def test_a_machine_without_a_compiler_is_named_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    check_compiler("cuda")
    monkeypatch.setenv("CXX", "no-such-compiler")
    check_compiler("cuda")
    with pytest.raises(ValueError, match="no-such-compiler was not found: install"):
        check_compiler("cpu")


@pytest.mark.slow
def test_another_shape_than_pytorchs_limit_is_compiled_or_an_error() -> None:
    for batch in range(4, 14):
        experiment = small_experiment()
        schedule = replace(experiment.schedule, batch=batch)
        cell = Cell(experiment=replace(experiment, schedule=schedule), block=Block(seed=0))
        Run(cell, small_inputs(), compiled=True).advance(1)
    stats = torch._dynamo.utils.counters["stats"]
    assert stats["unique_graphs"] >= 10


@pytest.mark.slow
def test_compiled_passes_give_the_same_bits_again_after_a_resume_and_in_another_process() -> None:
    whole, parted, resumed = (run(compiled=True) for _ in range(3))
    whole.advance(STEPS)
    parted.advance(2)
    resumed.restore(through_a_file(parted.state()))
    resumed.advance(STEPS)
    assert same(whole.state()["objective"], resumed.state()["objective"])
    again = subprocess.run(
        [sys.executable, "-c", AGAIN], cwd=str(__file__).rpartition("/")[0], capture_output=True
    )
    assert again.stdout.decode().split() == [weights_digest(whole.objective.state_dict())]


@pytest.mark.slow
def test_compiled_passes_compute_what_the_others_do_up_to_rounding() -> None:
    compiled, plain = run(compiled=True), run(compiled=False)
    for one in (compiled, plain):
        one.advance(STEPS)
    assert compiled.objective.state_dict().keys() == plain.objective.state_dict().keys()
    mine, other = compiled.evaluate(), plain.evaluate()
    assert mine["train.total"] == pytest.approx(other["train.total"], rel=1e-3)
