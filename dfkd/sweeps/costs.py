"""What a student costs to keep or to run: the second objective of a search that has two.

Computed from the recipe alone, so that it is the same on every machine; seconds are not.
"""

import torch

from dfkd.experiment import Experiment
from dfkd.models.networks.operations import operations


def cost_of(experiment: Experiment, name: str) -> int:
    """Return what the experiment's student costs. name: one of `sweep.COSTS`.

    "parameters": its trained numbers. "operations": those of its forward pass on one image.
    """
    task, student = experiment.task, experiment.student
    if name == "operations":
        return operations(student, task.classes, task.image_shape)
    with torch.device("meta"):  # nothing is computed
        network = student.build(task.classes, task.image_shape[2])
    return sum(parameter.numel() for parameter in network.parameters())
