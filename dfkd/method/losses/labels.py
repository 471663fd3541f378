"""Original labels in the place of the teacher's answer: what alone reads training labels.

B batch, K classes.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from dfkd.method.losses.kd import BaseAnswerLoss


@dataclass(frozen=True, kw_only=True)
class OriginalLabels(BaseAnswerLoss):
    """Learns from the original labels of the task's training images, without a teacher.

    Formula: cross-entropy with the label; one-hot labels stand where KD reads the teacher's logits.
    Source: baseline, the "student" of every published table; not data-free, not a reading of the
    paper.
    Range: no fields.
    Interplay: it needs the pool `TrainingImages` of the same task and no class dropping.
    """

    version: ClassVar[int] = 1
    capturable: ClassVar[bool] = True
    reads_labels: ClassVar[bool] = True

    def __call__(
        self, student_BK: Tensor, teacher_BK: Tensor, keep_BK: Tensor | None, masks_student: bool
    ) -> Tensor:
        """Return the cross-entropy, the mean over the batch; `teacher_BK` are one-hot labels."""
        return F.cross_entropy(student_BK, teacher_BK.argmax(dim=1))
