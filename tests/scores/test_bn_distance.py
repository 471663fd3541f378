"""Distances to BatchNorm statistics: the formula again in NumPy, where they lie, and who asks.

N rows, C channels.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dfkd.data.images.transforms import to_tensor
from dfkd.data.tasks import Digits
from dfkd.experiment import Cell
from dfkd.inspection.rules import rules_to_compare
from dfkd.method.selection import Balanced, BatchNormNearest, Dynamic
from dfkd.models.networks import SmallResNet
from dfkd.models.teachers import SupervisedTeacher
from dfkd.scores.bn_distance import BN_DISTANCES, bn_distances
from dfkd.seeding import Block
from dfkd.storage import FolderStorage
from dfkd.testing.runs import run_of, small_experiment, small_inputs
from dfkd.training.inputs import Inputs, check


@pytest.fixture
def inputs() -> Inputs:
    """With statistics that differ from channel to channel."""
    given = small_inputs()
    assert given.teacher is not None
    rng = torch.Generator().manual_seed(0)
    moved = {
        name: (torch.rand(value.shape, generator=rng) + 0.3 if "running" in name else value)
        for name, value in given.teacher.weights.items()
    }
    return replace(given, teacher=replace(given.teacher, weights=moved))


def test_distances_are_those_of_the_formula(inputs: Inputs) -> None:
    """The inputs of each layer are caught row by row, not in a batch."""
    assert inputs.teacher is not None
    task, images = Digits(), inputs.images_NHWC[:5]
    module = inputs.teacher.build(task).eval()
    layers = [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]
    seen: dict[nn.Module, np.ndarray] = {}
    for layer in layers:
        layer.register_forward_hook(lambda m, x, y: seen.update({m: x[0][0].numpy()}))
    expected = []
    for image in images:
        with torch.no_grad():
            module(to_tensor(image[None], task, "cpu"))
        total = []
        for layer in layers:
            mu, var = layer.running_mean.numpy(), layer.running_var.numpy() + layer.eps
            mean, deviation = seen[layer].mean((1, 2)), seen[layer].std((1, 2))
            if seen[layer][0].size == 1:
                deviation = np.sqrt(var)
            total.append((((mean - mu) ** 2 + (deviation - np.sqrt(var)) ** 2) / var).mean())
        expected.append(np.mean(total))
    found = bn_distances(inputs.teacher, images, task, "cpu")
    assert found.dtype == np.float32 and len(layers) > 5
    assert found == pytest.approx(expected, rel=1e-4)


class OneLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.head = nn.BatchNorm1d(256), nn.Linear(256, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(images.flatten(1)[:, :256]))


def test_a_layer_of_one_position_has_no_deviation(monkeypatch, inputs: Inputs) -> None:
    assert inputs.teacher is not None
    module, task, images = OneLayer(), Digits(), inputs.images_NHWC[:3]
    monkeypatch.setattr(type(inputs.teacher), "build", lambda self, task: module)
    pixels = to_tensor(images, task, "cpu").flatten(1)[:, :256].numpy()
    expected = (pixels**2).mean(1) / (1 + module.norm.eps)  # untrained: mean 0, variance 1
    assert bn_distances(inputs.teacher, images, task, "cpu") == pytest.approx(expected, rel=1e-5)


def test_they_are_computed_once_beside_the_choices_and_read_again(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = BatchNormNearest(rows=40)
    given = replace(inputs, selections=FolderStorage(tmp_path / "selections"))
    first = run_of(replace(small_experiment(), selection=rule), given)
    names = {path.name for path in (tmp_path / "selections").iterdir()}
    assert BN_DISTANCES in names and len(names) == 2
    monkeypatch.setattr("dfkd.training.inputs.bn_distances", None)  # would fail
    for selection in (rule, BatchNormNearest(rows=41), Dynamic(rule=rule)):
        run_of(replace(small_experiment(), selection=selection), replace(given, teacher=None))
    assert set(first.rows_N).isdisjoint(inputs.probe.rows_P)
    assert given.scores_for(Balanced(ratio=0.1), Digits()) is given.scores


def test_where_nothing_is_kept_they_are_the_same(inputs: Inputs, tmp_path: Path) -> None:
    experiment = replace(small_experiment(), selection=BatchNormNearest(rows=40))
    kept = run_of(experiment, replace(inputs, selections=FolderStorage(tmp_path)))
    assert kept.rows_N.tolist() == run_of(experiment, inputs).rows_N.tolist()


def test_a_teacher_without_statistics_is_refused_in_one_line_before_anything_is_spent(
    tmp_path: Path,
) -> None:
    bare = SmallResNet(width=8, stem_stride=2, norm="group")
    rule = BatchNormNearest(rows=40)
    for selection in (rule, Dynamic(rule=rule)):
        experiment = replace(
            small_experiment(), selection=selection, teacher=SupervisedTeacher(network=bare)
        )
        with pytest.raises(ValueError, match=r"SmallResNet of this teacher has none: choose") as e:
            check(Cell(experiment=experiment, block=Block(seed=0)), FolderStorage(tmp_path))
        assert "\n" not in str(e.value)
    assert not list(tmp_path.iterdir())


def test_an_inspection_asks_for_them_only_where_they_are_the_recipes_rule(inputs: Inputs) -> None:
    rules = rules_to_compare(Balanced(ratio=0.1), inputs.scores)
    assert "batch_norm_nearest" not in rules.by_name
    assert any(note.startswith("batch_norm_nearest is left out") for note in rules.notes)
    assert rules_to_compare(BatchNormNearest(ratio=0.1), inputs.scores).own == "batch_norm_nearest"
