"""bfloat16: only the networks' passes, the same bits again, and float32 wherever it is judged."""

from dataclasses import replace

import pytest
import torch

from dfkd.data.images.transforms import Crop
from dfkd.experiment import Cell, Experiment
from dfkd.method.losses import AttentionTransfer, PooledFeatures, Similarity
from dfkd.seeding import Block
from dfkd.testing.runs import same, small_experiment, small_inputs, through_a_file
from dfkd.training.distill import Run
from dfkd.training.environment import this_environment
from dfkd.training.precision import resolved


def run_in(precision: str, experiment: Experiment | None = None) -> Run:
    cell = Cell(experiment=experiment or full(), block=Block(seed=0))
    return Run(cell, small_inputs(), precision=precision)


def full() -> Experiment:
    return replace(
        small_experiment(),
        explicit=PooledFeatures(weight=3.0),
        implicit=Similarity(weight=1.0),
        views=Crop(padding=1, flip=False, answer="live"),
    )


def trained(precision: str) -> Run:
    run = run_in(precision)
    run.advance(8)
    return run


def test_bfloat16_changes_the_students_numbers_and_not_the_type_of_anything_kept():
    plain, reduced = trained("float32"), trained("bfloat16")
    assert not same(plain.state()["objective"], reduced.state()["objective"])
    kept = reduced.objective.state_dict().values()
    assert {value.dtype for value in kept} == {torch.float32, torch.int64}
    assert reduced.evaluate()["train.total"] == pytest.approx(
        plain.evaluate()["train.total"], rel=0.05
    )


def test_bfloat16_gives_the_same_bits_again_and_after_a_resume():
    whole, parted = trained("bfloat16"), run_in("bfloat16")
    parted.advance(3)
    resumed = run_in("bfloat16")
    resumed.restore(through_a_file(parted.state()))
    resumed.advance(8)
    assert same(whole.state()["objective"], resumed.state()["objective"])


@pytest.mark.parametrize("implicit", [Similarity(weight=1.0), AttentionTransfer(weight=10.0)])
def test_losses_read_float32(implicit):
    run = run_in("bfloat16", replace(full(), implicit=implicit))
    student = run.objective.look(run.views(run.batch(0), 0))
    teacher = run.answers(run.batch(0), 0, run.views(run.batch(0), 0)[0])
    for outputs in (student, teacher):
        parts = [outputs.logits_BK, outputs.features_BD, *outputs.maps]
        assert {part.dtype for part in parts} == {torch.float32}


def test_the_precision_is_part_of_the_environment_and_float32_is_what_it_always_was():
    plain = this_environment("cpu")
    assert str(plain) == str(this_environment("cpu", precision="float32"))
    assert str(plain) != str(this_environment("cpu", precision="bfloat16"))
    assert resolved("auto", "cpu") in ("float32", "bfloat16")
