"""The published pairs of networks on small CIFAR files: scored, selected, trained, resumed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from cifar_files import write_cifar

from dfkd import recipes
from dfkd.data.images.transforms import Crop
from dfkd.data.tasks import Cifar10
from dfkd.experiment import Cell, Experiment, Schedule
from dfkd.method.losses import AttentionTransfer, Similarity
from dfkd.method.selection import Balanced
from dfkd.models.networks import CifarResNet, CifarVGG11, Network, WideResNet
from dfkd.models.teachers import TrainedNetwork, weights_digest
from dfkd.scores import score_images, scores_of
from dfkd.seeding import Block, use_deterministic
from dfkd.storage import FolderStorage
from dfkd.storage.ledger import Ledger
from dfkd.training.distill import Inputs, Run
from dfkd.training.probe import draw_probe

WIDTHS = {CifarResNet: 512, CifarVGG11: 512, WideResNet: 128}
PAIRS = [
    # half a minute
    pytest.param(
        CifarResNet(depth=34), CifarResNet(depth=18), id="34 to 18", marks=pytest.mark.slow
    ),
    pytest.param(CifarVGG11(), CifarResNet(depth=18), id="VGG to 18", marks=pytest.mark.slow),
    pytest.param(WideResNet(depth=40, width=2), WideResNet(depth=16, width=1), id="40-2 to 16-1"),
]


def trained(network: Network) -> TrainedNetwork:
    """A teacher that knows nothing, but whose features are not all the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weights = {name: value.clone() for name, value in network.build(10, 3).state_dict().items()}
    return TrainedNetwork(network=network, weights=weights, digest=weights_digest(weights))


def material_of(teacher: TrainedNetwork, task: Cifar10) -> Inputs:
    images_NHWC = task.test().images
    scores = scores_of(np.arange(32), *score_images(teacher, images_NHWC, task, "cpu"))
    return Inputs(
        images_NHWC=images_NHWC,
        scores=scores,
        probe=draw_probe(scores),
        validation=task.validation(),
        teacher=teacher,
    )


def experiment_of(student: Network, task: Cifar10) -> Experiment:
    return replace(
        recipes.digits(),
        task=task,
        student=student,
        selection=Balanced(ratio=0.8),
        explicit=AttentionTransfer(),
        implicit=Similarity(weight=1.0),
        views=Crop(),
        schedule=Schedule(steps=2, batch=8, evaluations=2, learning_rate=1e-3),
    )


@pytest.mark.parametrize(("teacher", "student"), PAIRS)
def test_a_pair_is_scored_selected_trained_and_resumed(
    teacher: Network, student: Network, tmp_path: Path
) -> None:
    use_deterministic(1)
    write_cifar(tmp_path, Cifar10, records=32)
    task = Cifar10(path=str(tmp_path))
    inputs = material_of(trained(teacher), task)
    assert inputs.scores.features_ND.shape == (32, WIDTHS[type(teacher)])
    cell = Cell(experiment=experiment_of(student, task), block=Block(seed=0))
    calm = Run(cell, inputs)
    assert len(calm.rows_N) == 22  # of the 27 beside the probe
    start = {name: value.clone() for name, value in calm.objective.state_dict().items()}
    calm.advance(1)
    ledger = Ledger(FolderStorage(tmp_path))
    ledger.checkpoint("cell", {"run": calm.state()})
    resumed = Run(cell, inputs)
    state = ledger.restore("cell")
    assert state is not None
    resumed.restore(state["run"])
    for run in (calm, resumed):
        run.advance(2)
    mine, others = calm.objective.state_dict(), resumed.objective.state_dict()
    assert all(mine[name].equal(others[name]) for name in mine)
    assert all(not mine[name].equal(start[name]) for name, _ in calm.objective.named_parameters())
    assert calm.evaluate() == resumed.evaluate()
