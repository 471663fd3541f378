"""Energy: the rows that the teacher has seen most like, by the size of its whole answer.

N rows, K classes.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dfkd.method.selection.budget import Budget, Rows, balanced, by_class
from dfkd.scores import Scores

TOGETHER = 65_536  # rows whose logits are looked at in one go


@dataclass(frozen=True, kw_only=True)
class Energy(Budget):
    """Takes the rows of each pseudo-class with the lowest free energy, up to a quota.

    Formula: of a budget N' the quota is N'/K; a class's rows with the largest -E_i = log sum_k
    exp(t_ik) are taken. What a short class leaves unfilled goes to the largest that remain, where
    `fill` is true.
    Source: published, Liu et al. (NeurIPS 2020), who tell data in the domain from others by it; as
    a selection with quotas for distillation it is ours.
    Range: fill: False leaves quotas unfilled, as in `Balanced`.
    Interplay: confidence is unchanged by a number that is added to all logits, energy is not: of
    two equally confident rows it takes the one to which the teacher answers more loudly. It reads
    the logits, so it does not work on columns alone.
    """

    fill: bool = True
    version: ClassVar[int] = 1

    def select(self, scores: Scores, seed: int) -> Rows:
        rows_of_K = by_class(scores.pseudo_label_N, scores.classes)
        return balanced(loudness(scores), rows_of_K, self.count(len(scores)), fill=self.fill)


def loudness(scores: Scores) -> NDArray[np.float64]:
    """Return log sum_k exp(t_k) of each row [N]: its largest logit less its log-confidence."""
    largest = [
        np.asarray(scores.logits_NK[start : start + TOGETHER]).max(axis=1)
        for start in range(0, len(scores), TOGETHER)
    ]
    loud_N: NDArray[np.float64] = np.concatenate(largest) - np.log(
        np.asarray(scores.confidence_N, dtype=np.float64)
    )
    return loud_N
