"""What a student costs to keep or to run: the second objective of a search that has two.

Computed from the recipe alone, so that it is the same on every machine; seconds are not.
"""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from dfkd.experiment import Experiment


def cost_of(experiment: Experiment, name: str) -> int:
    """Return what the experiment's student costs. name: one of `sweep.COSTS`.

    "parameters": its trained numbers. "operations": those of its forward pass on one image, a
    multiplication and an addition counted as two, as PyTorch counts them.
    """
    task = experiment.task
    height, width, channels = task.image_shape
    with torch.device("meta"):  # nothing is computed
        student = experiment.student.build(task.classes, channels).eval()
        if name == "parameters":
            return sum(parameter.numel() for parameter in student.parameters())
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            student(torch.empty(1, channels, height, width))
    return int(counter.get_total_flops())
