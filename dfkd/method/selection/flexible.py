"""Flexible: class thresholds that follow how many sure rows a class has.

N rows, K classes.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dfkd.method.selection.budget import Budget, Rows, balanced, by_class
from dfkd.scores import Summary


@dataclass(frozen=True, kw_only=True)
class Flexible(Budget):
    """Takes the most confident rows of each pseudo-class, over a threshold lower for rare classes.

    Formula: of a budget N' the quota is N'/K; a row of pseudo-class k is admitted to it if its
    confidence reaches threshold * M(b_k), M(x) = x / (2 - x), b_k = s_k / max(max_j s_j, u): s_k
    rows of class k and u rows in all classes are above and below `threshold`. What is left
    unfilled goes to the most confident rows that remain, where `fill` is true.
    Source: our reading of FlexMatch (Zhang et al., NeurIPS 2021); its thresholds move with the
    student while it learns, ours come once from the teacher's answers to the pool.
    Range: threshold in (0, 1); 0.95 is theirs. fill: False leaves quotas unfilled, as in
    `Balanced`.
    Interplay: `Balanced` compares mean confidences instead of counts, which differ less between
    classes: where one class has most of the sure rows, this rule admits almost all rows of the
    others.
    """

    threshold: float = 0.95
    fill: bool = True
    version: ClassVar[int] = 1
    columns: ClassVar[tuple[str, ...]] = ("pseudo_label", "confidence")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.threshold < 1:
            raise ValueError(
                f"selection.threshold must lie in (0, 1), but got threshold={self.threshold!r}"
            )

    def select(self, scores: Summary, seed: int) -> Rows:
        rows_of_K = by_class(scores.pseudo_label_N, scores.classes)
        least_K = class_thresholds(scores, self.threshold)
        count = self.count(len(scores))
        return balanced(scores.confidence_N, rows_of_K, count, least_K, self.fill)


def class_thresholds(scores: Summary, threshold: float) -> NDArray[np.float64]:
    """Return the confidence from which a row of each class is admitted [K]."""
    sure_N = scores.confidence_N >= threshold
    sure_K = np.bincount(scores.pseudo_label_N[sure_N], minlength=scores.classes)
    status_K = sure_K / max(int(sure_K.max()), len(scores) - int(sure_K.sum()), 1)
    thresholds_K: NDArray[np.float64] = threshold * status_K / (2 - status_K)
    return thresholds_K
