"""Dynamic selection in the training loop: when rows are drawn, which ones, and the same again after
an interruption.
"""

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from dfkd.data.images.transforms import to_tensor
from dfkd.experiment import Cell, Experiment
from dfkd.method.selection import Confident, Dynamic
from dfkd.seeding import Block
from dfkd.training.batches import Batches
from dfkd.training.distill import Inputs, Run


@pytest.fixture(scope="module")
def dynamic(tiny) -> Experiment:
    """64 rows in batches of 16, half of them drawn after each epoch over the current ones: at steps
    4, 6, 8, ...
    """
    return replace(tiny, selection=Dynamic(rule=Confident(rows=64), every=1, fraction=0.5))


def run_of(experiment: Experiment, inputs: Inputs, seed: int = 0) -> Run:
    return Run(Cell(experiment=experiment, block=Block(seed=seed)), inputs)


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


def reference_efficiency(run: Run) -> np.ndarray:
    """confidence * KL(teacher || student) of the selected rows, in double precision."""
    images = to_tensor(run.inputs.images_NHWC[run.rows_N], run.experiment.task)
    with torch.no_grad():
        student = run.objective.student.network.eval()(images).double().numpy()
    run.objective.train()
    result = []
    for t, s in zip(run.inputs.scores.logits_NK[run.rows_N].astype(float), student, strict=True):
        p, log_q = np.exp(t - t.max()) / np.exp(t - t.max()).sum(), s - np.log(np.exp(s).sum())
        result.append(p.max() * (p * (np.log(p) - log_q)).sum())
    return np.array(result)


def test_rows_are_drawn_after_every_epoch_over_the_current_ones(dynamic, inputs):
    run = run_of(dynamic, inputs)
    current = []
    for step in range(1, 13):
        run.advance(step)
        current.append((run.batches.since, len(run.batches.rows_N)))
    assert current == [(0, 64)] * 4 + [(4, 32)] * 2 + [(6, 32)] * 2 + [(8, 32)] * 2 + [(10, 32)] * 2


def test_what_is_drawn_is_where_the_student_has_most_to_learn(dynamic, inputs):
    run = run_of(dynamic, inputs)
    run.advance(4)
    expected = reference_efficiency(run)
    label_N = inputs.scores.pseudo_label_N[run.rows_N]
    best_first = np.argsort(-expected)
    chosen = [
        i for k in range(10) for i in [j for j in best_first if label_N[j] == k][:3]
    ]  # 32 // 10
    chosen += [i for i in best_first if i not in chosen][: 32 - len(chosen)]
    run.advance(5)
    assert run.batches.rows_N.tolist() == run.rows_N[sorted(chosen)].tolist()
    assert set(run.batch(5)) <= set(run.batches.rows_N)


def test_the_first_epochs_are_those_of_the_rule_alone(dynamic, inputs):
    alone = run_of(replace(dynamic, selection=dynamic.selection.rule), inputs)
    run = run_of(dynamic, inputs)
    assert [run.batch(step).tolist() for step in range(4)] == [
        alone.batch(step).tolist() for step in range(4)
    ]
    run.advance(4)
    alone.advance(4)
    before = alone.objective.student.state_dict()
    assert all(
        before[name].equal(value) for name, value in run.objective.student.state_dict().items()
    )


@pytest.mark.parametrize("stop", [0, 3, 4, 5, 6, 7, 19, 20])
def test_a_resumed_run_is_the_uninterrupted_one(dynamic, inputs, stop):
    calm = run_of(dynamic, inputs)
    calm.advance(20)
    first = run_of(dynamic, inputs)
    if stop:
        first.advance(stop)
    resumed = run_of(dynamic, inputs)
    resumed.restore(through_a_file(first.state()))
    if stop < 20:
        resumed.advance(20)
    assert resumed.batches.rows_N.tolist() == calm.batches.rows_N.tolist()
    for name, value in calm.objective.state_dict().items():
        assert resumed.objective.state_dict()[name].equal(value), name


def test_drawing_does_not_disturb_the_student(dynamic, inputs):
    run = run_of(dynamic, inputs)
    run.advance(3)
    before = {name: value.clone() for name, value in run.objective.state_dict().items()}
    run.drawn(dynamic.selection.redraw)
    assert run.objective.training and run.objective.student.network.training
    assert all(before[name].equal(value) for name, value in run.objective.state_dict().items())


def test_batches_after_a_draw_are_whole_epochs_of_the_new_rows():
    batches = Batches(np.arange(100), size=7, seed=0)
    assert batches.end_of(2) == 29  # 200 rows, 28.6 batches
    batches.narrow(np.arange(0, 100, 2), 29)
    seen = np.concatenate([batches.at(step) for step in range(29, 29 + 50)])
    for epoch in range(7):
        assert sorted(seen[epoch * 50 : epoch * 50 + 50]) == list(range(0, 100, 2))
    assert batches.end_of(1) == 29 + 8
