"""Dynamic selection: when rows are drawn, which ones, and the same again when interrupted."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from dfkd.data.images.transforms import to_tensor
from dfkd.experiment import Experiment
from dfkd.method.selection import Confident, Dynamic, Random
from dfkd.method.selection.dynamic import efficiency
from dfkd.testing.runs import resumed_is_uninterrupted, run_of
from dfkd.testing.scores import random_scores
from dfkd.training.batches import Batches
from dfkd.training.distill import Run


@pytest.fixture(scope="module")
def dynamic(tiny) -> Experiment:
    """Return 64 rows in batches of 16, half drawn after each epoch: at steps 4, 6, 8, ..."""
    return replace(tiny, selection=Dynamic(rule=Confident(rows=64), every=1, fraction=0.5))


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
    # 32 // 10
    chosen = [i for k in range(10) for i in [j for j in best_first if label_N[j] == k][:3]]
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


def test_a_resumed_run_is_the_uninterrupted_one(dynamic, inputs):
    assert resumed_is_uninterrupted(dynamic, inputs, stops=(0, 3, 4, 5, 6, 7, 19, 20))


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


# ---- the rule


def test_efficiency_agrees_with_its_formula():
    rng = np.random.default_rng(0)
    teacher, student = rng.normal(size=(2, 50, 10)) * 3
    expected = []
    for t, s in zip(teacher, student, strict=True):
        p, q = np.exp(t) / np.exp(t).sum(), np.exp(s) / np.exp(s).sum()
        expected.append(p.max() * (p * np.log(p / q)).sum())
    assert efficiency(
        torch.from_numpy(teacher), torch.from_numpy(student)
    ).numpy() == pytest.approx(expected, rel=1e-6)


def test_dynamic_selects_what_its_rule_selects_and_draws_a_balanced_fraction_of_it():
    scores, rule = random_scores(), Confident(rows=100)
    dynamic = Dynamic(rule=rule, fraction=0.4)
    chosen = dynamic.select(scores, 0)
    assert chosen.tolist() == rule.select(scores, 0).tolist()
    assert (dynamic.ratio, dynamic.rows) == (None, 100)
    label_N = scores.pseudo_label_N[chosen]
    efficiency_N = np.random.default_rng(1).random(100)
    drawn = dynamic.draw(efficiency_N, label_N, 10)
    assert len(drawn) == 40
    for k in range(10):  # quota 4
        own = np.flatnonzero(label_N == k)
        assert set(own[np.argsort(-efficiency_N[own])][:4]) <= set(drawn)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"every": 0}, "selection.every must be 1 epoch or more"),
        ({"fraction": 0.0}, r"selection.fraction must lie in \(0, 1\)"),
        ({"fraction": 1.0}, r"selection.fraction must lie in \(0, 1\)"),
        ({"fraction": math.nan}, r"selection.fraction must lie in \(0, 1\)"),
        (
            {"rule": Dynamic(rule=Random(ratio=0.5))},
            "selection.rule must be a rule that selects once",
        ),
    ],
)
def test_impossible_dynamics_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Dynamic(**{"rule": Random(ratio=0.5), **change})
