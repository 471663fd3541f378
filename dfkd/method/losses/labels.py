"""Original labels in the place of the teacher's answer: a baseline, and the only part that reads
training labels.

B batch, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from dfkd.method.losses.kd import BaseAnswerLoss


@dataclass(frozen=True, kw_only=True)
class OriginalLabels(BaseAnswerLoss):
    """Cross-entropy with the original labels of the task's training images: the student without a
    teacher.

    Stands where KD stands, and reads one-hot labels where KD reads the teacher's logits. Not
    data-free, not a reading
    of the paper: the baseline "student" of every published table.
    Interplay: needs the pool `TrainingImages` of the same task and no class dropping.
    """

    version: ClassVar[int] = 1
    reads_labels: ClassVar[bool] = True

    def __call__(
        self, student_BK: Tensor, teacher_BK: Tensor, keep_BK: Tensor | None, masks_student: bool
    ) -> Tensor:
        """`teacher_BK`: one-hot labels."""
        return F.cross_entropy(student_BK, teacher_BK.argmax(dim=1))
