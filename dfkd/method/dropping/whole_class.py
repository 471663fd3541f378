"""Whole classes: pseudo-classes of which the selection holds little, or nothing sure.

B batch, K classes, N rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfkd.method.dropping.rule import Rate, dropped_classes, keep_all
from dfkd.scores import Scores


@dataclass(frozen=True, kw_only=True)
class WholeClass(Rate):
    """Takes all rows of the weakest pseudo-classes out of the selection.

    Formula: floor(rate * K) classes with the lowest mean confidence, or the fewest rows, counted
    among all K: those of which nothing was selected go first, and at least 2 stay. Answers are not
    masked.
    Source: our reading of the abstract, "noise" being what the pool has no images of.
    Range: rate in [0, 1); the number of classes is the identity, not the rate. by: "confidence" or
    "count".
    Interplay: it shortens the selection; under a quota (`Balanced`) all classes that are long
    enough have one count, and the earlier class goes first.
    """

    by: str = "confidence"
    version: ClassVar[int] = 1
    masks_student: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.by not in ("confidence", "count"):
            raise ValueError(f'dropping.by must be "confidence" or "count", but got by={self.by!r}')

    def canonical(self, classes: int) -> WholeClass | None:
        count = dropped_classes(self.rate, classes)
        return replace(self, rate=count / classes) if count else None

    def filter(self, scores: Scores, rows_N: NDArray[np.int64]) -> NDArray[np.int64]:
        label_N, classes = scores.pseudo_label_N[rows_N], scores.classes
        value_K = np.bincount(label_N, minlength=classes).astype(np.float64)
        if self.by == "confidence":
            sum_K = np.bincount(label_N, weights=scores.confidence_N[rows_N], minlength=classes)
            value_K = sum_K / np.maximum(value_K, 1)
        lowest = np.argsort(value_K, kind="stable")[: dropped_classes(self.rate, classes)]
        stay_N: NDArray[np.bool_] = np.isin(label_N, lowest, invert=True)
        return rows_N[stay_N]

    def keep(
        self, logits_BK: Tensor, generator: torch.Generator, temperature: float = 1.0
    ) -> Tensor:
        return keep_all(logits_BK)
