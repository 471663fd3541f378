"""SharedClassifier: the student's features are to be good for the teacher's own classifier.

B batch, K classes, D feature width of the teacher, E of the student.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from dfkd.method.losses.kd import KD
from dfkd.method.losses.loss import BaseLoss, Outputs, Sizes, check_temperature, check_weight


@dataclass(frozen=True, kw_only=True)
class SharedClassifier(BaseLoss):
    """Reads the student's projected features with the teacher's classifier, and compares answers.

    Formula: T^2 * KL(softmax(h(f_T) / T) || softmax(h(r(f_S)) / T)), h the teacher's last layer,
    which is not trained, r a trained Linear + BatchNorm + ReLU to the teacher's width; h(f_T) are
    the teacher's logits.
    Source: our reading of SimKD (Chen et al., CVPR 2022), which KD3 takes over; there features are
    regressed, and projector and classifier stay with the student for good. Here they teach its
    features and go: the student answers by its own classifier, so a student handed over is one
    network of its own kind.
    Range: temperature T above 0.
    Interplay: class dropping does not reach this term. Where the teacher's answer is wrong its
    features are as well, so it is no cure for a shifted pool.
    """

    weight: float = 1.0
    temperature: float = 4.0
    ramp: float = 0.0
    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"teacher_head"})

    def __post_init__(self) -> None:
        check_weight(self.weight, self.ramp)
        check_temperature("temperature of SharedClassifier", self.temperature)

    def module(self, sizes: Sizes) -> nn.Module:
        if sizes.teacher_head is None:
            raise ValueError("SharedClassifier needs the teacher's last layer, but got none")
        return _SharedClassifier(sizes, *sizes.teacher_head, self.temperature)


class _SharedClassifier(nn.Module):
    def __init__(
        self, sizes: Sizes, weight_KD: Tensor, bias_K: Tensor | None, temperature: float
    ) -> None:
        super().__init__()
        width = sizes.teacher_width
        self.projector = nn.Sequential(
            nn.Linear(sizes.student_width, width, bias=False), nn.BatchNorm1d(width), nn.ReLU()
        )
        # buffers: they go to the device and into the state, and no optimizer sees them
        self.register_buffer("weight_KD", weight_KD.detach().clone())
        self.register_buffer("bias_K", None if bias_K is None else bias_K.detach().clone())
        self.kd = KD(temperature=temperature)

    def forward(self, student: Outputs, teacher: Outputs) -> Tensor:
        student_BK = self._answer(self.projector(student.features_BD))
        return self.kd(student_BK, self._answer(teacher.features_BD), None, masks_student=False)

    def _answer(self, features_BD: Tensor) -> Tensor:
        return F.linear(features_BD, self.get_buffer("weight_KD"), self._buffers["bias_K"])
