"""DFND's noise matrix in the loop: its formula, its optimizer, its checkpoint. K classes."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from dfkd.experiment import Experiment
from dfkd.method.dropping import NoiseMatrix
from dfkd.method.dropping.noise_matrix import MOST_ACCURATE, NoiseAdaptation
from dfkd.method.losses import Outputs, Sizes
from dfkd.models.teachers import accuracy
from dfkd.testing.runs import resumed_is_uninterrupted, run_of

SIZES = Sizes(classes=10, student_width=4, teacher_width=4, teacher_accuracy=0.9)


@pytest.fixture(scope="module")
def noisy(tiny) -> Experiment:
    return replace(tiny, dropping=NoiseMatrix(accuracy=0.9), explicit=None, implicit=None)


def made(accuracy: float = 0.9, trained: bool = True) -> NoiseAdaptation:
    module = NoiseAdaptation(10, accuracy).double()
    if trained:
        with torch.no_grad():
            module.weight.copy_(torch.randn(10, 9, generator=torch.Generator().manual_seed(0)))
    return module


def reference_matrix(weight: np.ndarray, a: float) -> np.ndarray:
    """As the published script builds it, class by class."""
    matrix = np.zeros((10, 10))
    for i in range(10):
        others = np.exp(weight[i]) / np.exp(weight[i]).sum()
        matrix[i, [j for j in range(10) if j != i]] = (1 - a) * others
        matrix[i, i] = a
    return matrix


def test_the_matrix_is_the_published_one():
    module = made()
    matrix = module.matrix().detach().numpy()
    assert matrix == pytest.approx(reference_matrix(module.weight.detach().numpy(), 0.9), abs=1e-12)
    assert matrix.sum(1) == pytest.approx(1)
    start = made(trained=False).matrix().detach().numpy()
    assert start == pytest.approx(np.full((10, 10), 0.1 / 9) + np.eye(10) * (0.9 - 0.1 / 9))


def test_the_term_agrees_with_its_formula():
    g = torch.Generator().manual_seed(1)
    student, teacher = (torch.randn(16, 10, generator=g, dtype=torch.float64) * 3 for _ in range(2))
    module = made()
    matrix = reference_matrix(module.weight.detach().numpy(), 0.9)
    p = np.exp(student.numpy()) / np.exp(student.numpy()).sum(1, keepdims=True)
    expected = -np.log((p @ matrix)[np.arange(16), teacher.numpy().argmax(1)]).mean()
    features = torch.zeros(16, 4)
    assert module(Outputs(student, features), Outputs(teacher, features)).item() == pytest.approx(
        expected, rel=1e-9
    )


def test_very_sure_students_stay_finite():
    logits = torch.zeros(4, 10)
    logits[:, 3] = 1e4
    student = logits.clone().requires_grad_()
    wrong = Outputs(logits.roll(1, dims=1), torch.zeros(4, 4))
    loss = (
        NoiseMatrix(accuracy=1.0).term().module(SIZES)(Outputs(student, torch.zeros(4, 4)), wrong)
    )
    loss.backward()
    assert loss.isfinite() and student.grad is not None and student.grad.isfinite().all()


def test_the_total_is_distillation_plus_the_term(noisy, inputs):
    run = run_of(noisy, inputs)
    terms = run.loss(0)
    assert terms.keys() == {"kd", "dropping", "total"}
    assert terms["total"].item() == pytest.approx(
        terms["kd"].item() + terms["dropping"].item(), rel=1e-6
    )
    plain = run_of(replace(noisy, dropping=None), inputs)
    assert terms["kd"].item() == plain.loss(0)["kd"].item()  # nothing is dropped


def test_the_matrix_is_trained_by_an_adam_of_its_own(noisy, inputs):
    """One step of Adam moves every weight by its learning rate, whatever the student's is."""
    schedule = replace(noisy.schedule, optimizer="sgd", learning_rate=0.05, weight_decay=0.1)
    run = run_of(replace(noisy, schedule=schedule), inputs)
    run.advance(1)
    weight = dict(run.objective.named_parameters())["losses.dropping.weight"]
    present = weight.detach().abs().sum(1) > 0
    assert present.any()
    assert weight.detach()[present].abs().max().item() == pytest.approx(1e-3, rel=1e-3)
    in_students = {id(p) for p in run.optimizer.parameters}
    assert id(weight) not in in_students
    assert len(in_students) == len(list(run.objective.parameters())) - 1


def test_the_diagonal_is_the_teachers_accuracy_on_validation_labels(noisy, inputs, source):
    run = run_of(replace(noisy, dropping=NoiseMatrix()), inputs)
    task = noisy.task
    validation = task.validation()
    assert validation is not None
    expected = min(MOST_ACCURATE, accuracy(source.teacher.build(task), validation, task))
    assert run.objective.losses["dropping"].matrix().diagonal().tolist() == pytest.approx(
        [expected] * 10
    )


def test_without_validation_labels_the_accuracy_has_to_be_given(noisy, inputs):
    with pytest.raises(
        ValueError, match=r"no validation labels: give dropping.accuracy, but got accuracy=None"
    ):
        run_of(replace(noisy, dropping=NoiseMatrix()), replace(inputs, validation=None))
    run_of(noisy, replace(inputs, validation=None)).advance(1)


def test_a_resumed_run_is_the_uninterrupted_one(noisy, inputs):
    assert "own_optimizer" in run_of(noisy, inputs).state()
    assert resumed_is_uninterrupted(noisy, inputs, stops=(0, 1, 7, 20))


@pytest.mark.parametrize("change", [{"weight": -1.0}, {"weight": math.nan}, {"weight": math.inf}])
def test_impossible_weights_are_refused(change):
    with pytest.raises(ValueError, match="a loss weight must be 0 or more"):
        NoiseMatrix(**change)


@pytest.mark.parametrize("value", [0.0, -0.1, 1.1, math.nan])
def test_impossible_accuracies_are_refused(value):
    with pytest.raises(ValueError, match=r"dropping.accuracy must lie in \(0, 1\]"):
        NoiseMatrix(accuracy=value)
