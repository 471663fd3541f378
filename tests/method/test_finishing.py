"""Finishing: what is evaluated and kept of a student, computed again by hand.

B batch, C channels, H height, W width.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from dfkd.data.images.transforms import normalised
from dfkd.experiment.rebuild import changed
from dfkd.experiment.recipes import digits
from dfkd.method.finishing import FINISHINGS, Ema, RecalibratedBatchNorm
from dfkd.method.selection import Dynamic, Random
from dfkd.testing import PieceSuite
from dfkd.testing.runs import (
    resumed_is_uninterrupted,
    run_of,
    same,
    small_experiment,
    small_inputs,
    through_a_file,
)
from dfkd.training.distill import Run

each_finishing = pytest.mark.parametrize("kind", FINISHINGS, ids=lambda kind: kind.__name__)


class TestFinishings(PieceSuite):
    pieces = tuple(kind.example() for kind in FINISHINGS)


def run_with(finishing: object) -> Run:
    return run_of(replace(small_experiment(), finishing=finishing))


def trained(run: Run) -> dict[str, torch.Tensor]:
    return {n: v.clone() for n, v in run.objective.student.network.state_dict().items()}


# ---- what all have in common


@each_finishing
def test_training_is_what_it_is_without(kind):
    runs = [run_with(finishing) for finishing in (None, kind())]
    for run in runs:
        for step in (3, 4, 8):
            run.advance(step)
            run.evaluate()
    assert same(*(run.objective.state_dict() for run in runs))
    assert not same(runs[1].kept.weights(), trained(runs[1]))


@each_finishing
def test_a_resumed_run_is_the_uninterrupted_one(kind):
    redrawn = Dynamic(rule=Random(rows=32), every=1)
    for selection in (Random(rows=64), redrawn):
        experiment = replace(small_experiment(), finishing=kind(), selection=selection)
        assert resumed_is_uninterrupted(experiment)


@each_finishing
def test_a_resumed_run_keeps_the_same_student_and_evaluates_it(kind):
    calm, resumed = run_with(kind()), run_with(kind())
    calm.advance(5)
    resumed.restore(through_a_file(calm.state()))
    points = []
    for run in (calm, resumed):
        run.advance(8)
        points.append(run.evaluate())
    assert points[0] == points[1] and same(calm.kept.weights(), resumed.kept.weights())


@each_finishing
def test_what_is_evaluated_is_what_is_kept(kind):
    run, plain = run_with(kind()), run_with(None)
    run.advance(8)
    plain.advance(8)
    plain.objective.student.network.load_state_dict(run.kept.weights())
    assert run.evaluate() == plain.evaluate()


@each_finishing
def test_without_one_no_identity_moves_and_texts_bring_it_back(kind):
    assert "finishing" not in digits().params()
    with_it = replace(digits(), finishing=kind())
    assert with_it.fingerprint() != digits().fingerprint()
    assert changed(digits(), {"finishing": with_it.params()["finishing"]}) == with_it


# ---- the moving average


def test_an_ema_is_the_mean_of_the_first_steps_and_then_moves():
    run, expected = run_with(Ema(decay=0.6)), {}
    for step in range(1, 9):
        run.advance(step)
        decay = min(0.6, 1 - 1 / step)
        for name, value in trained(run).items():
            before = expected.get(name, np.zeros(()))
            expected[name] = decay * before + (1 - decay) * value.double().numpy()
    kept = run.kept.weights()
    for name, value in kept.items():
        if value.is_floating_point():
            np.testing.assert_allclose(value.numpy(), expected[name], rtol=1e-5, atol=1e-6)
        else:
            assert value.equal(trained(run)[name])


@pytest.mark.parametrize("decay", [0, 1, -0.1, float("nan")])
def test_an_impossible_decay_is_refused(decay):
    with pytest.raises(ValueError, match=r"finishing.decay must lie between 0 and 1, but got"):
        Ema(decay=decay)


# ---- recalibrated statistics


def test_recalibrated_statistics_are_those_of_the_selected_images():
    run = run_of(replace(small_experiment(), finishing=RecalibratedBatchNorm(rows=200)))
    run.advance(8)
    network = run.objective.student.network
    [first, *_] = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    seen = []
    hook = first.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    kept = run.kept.weights()
    hook.remove()
    images_BCHW = normalised(
        torch.from_numpy(np.asarray(small_inputs().images_NHWC)[run.rows_N]), run.experiment.task
    )
    assert [len(batch) for batch in seen] == [16] * 4  # all 64 rows, in batches of the schedule
    name = next(n for n, m in network.named_modules() if m is first)
    convolution = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
    with torch.no_grad():
        whole_BCHW = convolution(images_BCHW)
    mean_C = torch.stack([b.mean((0, 2, 3)) for b in seen]).mean(0)
    variance_C = torch.stack([b.var((0, 2, 3)) for b in seen]).mean(0)
    assert kept[f"{name}.running_mean"].allclose(mean_C, atol=1e-5)
    assert kept[f"{name}.running_mean"].allclose(whole_BCHW.mean((0, 2, 3)), atol=1e-5)
    assert kept[f"{name}.running_var"].allclose(variance_C, rtol=1e-4)
    assert first.momentum == 0.1


def test_only_statistics_are_computed_anew():
    run = run_with(RecalibratedBatchNorm())
    run.advance(8)
    kept, before = run.kept.weights(), trained(run)
    moved = {name.rsplit(".")[-1] for name in kept if not kept[name].equal(before[name])}
    assert moved == {"running_mean", "running_var", "num_batches_tracked"}


def test_one_row_is_no_batch():
    with pytest.raises(ValueError, match=r"finishing.rows must be 2 or more, but got rows=1"):
        RecalibratedBatchNorm(rows=1)
