"""A student that needs nothing around it: its normalisation is part of it.

B batch, C channels, H height, W width, K classes.
"""

import torch
from torch import Tensor, nn

from dfkd.data.tasks import Task
from dfkd.experiment import Experiment
from dfkd.models.networks import Network, load_weights


class Standalone(nn.Module):
    """A module from float images [B, C, H, W] in 0..1 to logits [B, K]."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return logits [B, K]."""
        logits_BK: Tensor = self.network((images_BCHW - self.mean) / self.std)
        return logits_BK


def standalone(experiment: Experiment, weights: dict[str, Tensor]) -> Standalone:
    """Return the student of this experiment with these weights, in eval mode, without gradients."""
    task: Task = experiment.task
    return assembled(experiment.student, task.classes, task.mean, task.std, weights)


def assembled(
    network: Network,
    classes: int,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    weights: dict[str, Tensor],
) -> Standalone:
    """Return the same as `standalone`, from what a config.json holds."""
    module = network.build(classes, len(mean))
    load_weights(module, weights)
    return Standalone(module, mean, std).eval().requires_grad_(False)
