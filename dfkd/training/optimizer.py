"""Optimizers: the student's with its schedule, and an Adam for what losses train by themselves."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from dfkd.experiment import Schedule
from dfkd.training.objective import Objective


def student_optimizer(
    parameters: list[nn.Parameter], schedule: Schedule, precision: str = "float32"
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Return the optimizer of these parameters, and what moves its learning rate step by step.

    Its kernels take all parameters together. Fused ones are the fastest; on a CPU in float32 they
    would change the last bits of what is recorded already, and the others do not.
    """
    fused = precision != "float32" or parameters[0].is_cuda
    options: dict[str, Any] = {
        "lr": schedule.learning_rate,
        "weight_decay": schedule.weight_decay,
        "fused" if fused else "foreach": True,
    }
    optimizer: torch.optim.Optimizer
    if schedule.optimizer == "adamw":
        optimizer = torch.optim.AdamW(parameters, **options)
    else:
        optimizer = torch.optim.SGD(parameters, momentum=0.9, **options)
    if schedule.decay == "one_cycle":
        # one step more than are taken: the last step then still learns, and step() after it is
        # defined
        return optimizer, torch.optim.lr_scheduler.OneCycleLR(
            optimizer, schedule.learning_rate, total_steps=schedule.steps + 1
        )
    if schedule.decay == "steps":
        milestones = [round(share * schedule.steps) for share in (0.4, 0.8)]
        return optimizer, torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, gamma=0.1)
    return optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, schedule.steps)


def own_optimizer(objective: Objective) -> torch.optim.Optimizer | None:
    """Return the Adam of the losses that declare `own_learning_rate`; None where none does."""
    groups = [
        {"params": list(objective.losses[name].parameters()), "lr": loss.own_learning_rate}
        for name, loss in objective.apart().items()
    ]
    return torch.optim.Adam(groups) if groups else None
