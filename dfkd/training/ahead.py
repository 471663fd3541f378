"""What the next steps compute with, read together where none of it has to wait for its step.

Where students see clean images and the teacher's answers are cached, a step reads little in many
small calls: on a CPU they took a twentieth of a step of `digits`. S steps, B batch, K classes.
"""

from collections.abc import Iterator
from dataclasses import replace
from math import prod
from operator import itemgetter

import torch
from torch import Tensor

from dfkd.experiment import Experiment
from dfkd.method.defaults import with_defaults
from dfkd.method.dropping import BaseDropping
from dfkd.method.selection import BaseSelection
from dfkd.training.objective import StepInputs

STEPS = 16
MOST = 2**22  # numbers in the images of these steps, of four bytes each


def steps_together(experiment: Experiment, device: str) -> int:
    """Return of how many steps the inputs are read together, 1 or more.

    It is 1 where a step draws something, asks the teacher, or sees rows that were chosen by what
    the student knows, and on a GPU, which has its rows beside it.
    """
    dropping = experiment.dropping
    waits = (
        torch.device(device).type == "cuda"
        or experiment.views is not None
        or experiment.asks_teacher
        or experiment.needs() & {"rows", "second_view"}
        or with_defaults(experiment.selection, BaseSelection).redraw is not None
        or (dropping is not None and not with_defaults(dropping, BaseDropping).fixed)
    )
    numbers = experiment.schedule.batch * prod(experiment.task.image_shape)
    return 1 if waits else max(1, min(STEPS, MOST // numbers))


def apart(given: StepInputs, steps: int) -> Iterator[StepInputs]:
    """Yield the inputs of each step, of which `given` holds one after the other."""
    size = len(given.views[0]) // steps
    kept: tuple[Tensor | None, ...] = (None,) * steps
    if given.keep_BK is not None:
        counts_SB = given.keep_BK.sum(1).float().view(steps, size)
        kept = counts_SB.mean(1).unbind()
    for step, kept_classes in enumerate(kept):
        part = itemgetter(slice(step * size, (step + 1) * size))
        yield replace(
            given,
            views=tuple(map(part, given.views)),
            teacher=given.teacher.each(part),
            keep_BK=None if given.keep_BK is None else part(given.keep_BK),
            kept_classes=kept_classes,
        )
