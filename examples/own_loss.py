"""A loss of your own, compared with the usual one in a study: `python examples/own_loss.py`."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from dfkd import Study, pools, recipes, run_study
from dfkd.method.losses import BaseLoss, Outputs, Sizes


@dataclass(frozen=True, kw_only=True)
class Cosine(BaseLoss):
    """Brings the directions of the student's features to the teacher's. Formula: 1 - cos."""

    weight: float = 1.0
    ramp: float = 0.0
    version: ClassVar[int] = 1  # to be raised when the code gives other numbers

    def module(self, sizes: Sizes) -> nn.Module:
        return CosineModule(sizes.student_width, sizes.teacher_width)


class CosineModule(nn.Module):
    def __init__(self, width: int, teacher_width: int) -> None:
        super().__init__()
        self.project = nn.Linear(width, teacher_width)

    def forward(self, student: Outputs, teacher: Outputs) -> Tensor:
        mine_BD = self.project(student.features_BD)
        return 1 - F.cosine_similarity(mine_BD, teacher.features_BD).mean()


usual = replace(recipes.digits(), pool=pools.Glyphs(rows=4000))
losses = {"usual": usual, "cosine": replace(usual, explicit=Cosine(weight=2.0))}
study = Study(question="Is the cosine better?", variants=losses, baseline="usual", blocks=3)

if __name__ == "__main__":
    print(run_study("own_loss").effects[["variant", "difference", "low", "high", "verdict"]])
