"""BatchNorm over the parts of all workers: PyTorch has it for GPUs; here is what holds without."""

import torch
from torch import nn

from dfkd.execution.shared_run import with_shared_statistics
from dfkd.models.networks import SmallResNet


def test_the_network_stays_the_same_but_for_its_normalisation() -> None:
    plain, images = SmallResNet(width=8).build(10, 1), torch.randn(4, 1, 16, 16)
    weights = {name: value.clone() for name, value in plain.state_dict().items()}
    expected = plain.eval()(images)
    shared = with_shared_statistics(plain)
    kinds = [type(module) for module in shared.modules()]
    assert nn.SyncBatchNorm in kinds and nn.BatchNorm2d not in kinds
    assert all(weights[name].equal(value) for name, value in shared.state_dict().items())
    assert shared(images).equal(expected)
    SmallResNet(width=8).build(10, 1).load_state_dict(shared.state_dict())  # as exports do


def test_other_normalisations_see_one_image_and_stay() -> None:
    network = SmallResNet(width=8, norm="group").build(10, 1)
    before = [type(module) for module in network.modules()]
    assert [type(module) for module in with_shared_statistics(network).modules()] == before
