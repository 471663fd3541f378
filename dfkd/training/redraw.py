"""Redrawing: a selection is drawn from again, by what the student still has to learn.

B batch, K classes, N selected rows.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dfkd.data.images.transforms import to_tensor
from dfkd.data.tasks import Task
from dfkd.method.selection import Redraw, Rows
from dfkd.method.selection.dynamic import efficiency
from dfkd.training.inputs import Inputs

SCORED_TOGETHER = 512  # rows


def draw_again(
    redraw: Redraw, rows_N: Rows, student: nn.Module, inputs: Inputs, task: Task, device: str
) -> Rows:
    """Return positions in the selection `rows_N` that are current from now on.

    The student, in eval mode, answers to the clean images of all selected rows.
    """
    scores = inputs.scores
    parts: list[NDArray[np.floating]] = []
    with torch.inference_mode():
        for start in range(0, len(rows_N), SCORED_TOGETHER):
            rows_B = rows_N[start : start + SCORED_TOGETHER]
            teacher_BK = torch.from_numpy(scores.logits_NK[rows_B]).to(device)
            student_BK = student(to_tensor(inputs.images_NHWC[rows_B], task, device))
            parts.append(efficiency(teacher_BK, student_BK).cpu().numpy())
    # a student that has diverged says NaN here: `Run.advance` tells it
    efficiency_N = np.nan_to_num(np.concatenate(parts))
    return redraw.draw(efficiency_N, scores.pseudo_label_N[rows_N], scores.classes)
