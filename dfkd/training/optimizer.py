"""Optimizers: the student's with its schedule, and an Adam for what losses train by themselves."""

import torch
from torch import nn

from dfkd.experiment import Schedule
from dfkd.models.optimizing import Optimizer, Rate, cosine, one_cycle, tenths
from dfkd.training.objective import Objective


def student_optimizer(parameters: list[nn.Parameter], schedule: Schedule) -> Optimizer:
    """Return the optimizer of these parameters at the schedule's rates."""
    return Optimizer(parameters, schedule.optimizer, rates(schedule), schedule.weight_decay)


def rates(schedule: Schedule) -> list[Rate]:
    """Return the rate of each step."""
    peak, steps = schedule.learning_rate, schedule.steps
    if schedule.decay == "one_cycle":
        return one_cycle(peak, steps, total=steps + 1)  # the last step still learns
    return tenths(peak, steps, (0.4, 0.8)) if schedule.decay == "steps" else cosine(peak, steps)


def own_optimizer(objective: Objective) -> torch.optim.Optimizer | None:
    """Return the Adam of the losses that declare `own_learning_rate`; None where none does."""
    groups = [
        {"params": list(objective.losses[name].parameters()), "lr": loss.own_learning_rate}
        for name, loss in objective.apart().items()
    ]
    return torch.optim.Adam(groups) if groups else None
