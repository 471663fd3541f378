"""What every rule of class dropping promises. B batch, K classes, N selected rows."""

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfkd.identity import Piece
from dfkd.method.losses import Loss
from dfkd.scores import Scores


class Dropping(Protocol):
    """A rule that takes classes out of the teacher's answer, or rows out of the selection.

    masks_student: whether the student's softmax is masked as well. fixed: whether a row's classes
    follow from its logits alone, nothing being drawn. `fixed`,
    `filter` and `term` have defaults in `BaseDropping`.
    """

    version: ClassVar[int]
    masks_student: ClassVar[bool]
    fixed: ClassVar[bool]

    def canonical(self, classes: int) -> Self | None:
        """Return the one form of all equal rules, for identity; None where nothing is dropped."""

    def keep(
        self, logits_BK: Tensor, generator: torch.Generator, temperature: float = 1.0
    ) -> Tensor:
        """Return which classes stay, a boolean mask [B, K] for the teacher's logits.

        generator: of this block and step; temperature: at which kd reads the logits.
        """

    def filter(self, scores: Scores, rows_N: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those of the selected positions in `scores` that stay, in their order."""

    def term(self) -> Loss | None:
        """Return the loss term that the rule trains beside the student; None where it has none."""

    @classmethod
    def example(cls) -> Self:
        """Return an instance with likely values, for tables and tests."""


class BaseDropping(Piece):
    """What a dropping rule need not declare.

    It may draw anew in every step, all selected rows stay, and it adds no loss term.
    """

    fixed: ClassVar[bool] = False

    def filter(self, scores: Scores, rows_N: NDArray[np.int64]) -> NDArray[np.int64]:
        return rows_N

    def term(self) -> Loss | None:
        return None


@dataclass(frozen=True, kw_only=True)
class Rate(BaseDropping):
    """The base of rules that drop a share of the classes: `rate`, in [0, 1)."""

    rate: float

    def __post_init__(self) -> None:
        if not 0 <= self.rate < 1:
            raise ValueError(
                "dropping.rate must lie in [0, 1), the share of classes to drop, but got "
                f"rate={self.rate}"
            )

    @classmethod
    def example(cls) -> Self:
        return cls(rate=0.3)

    def canonical(self, classes: int) -> Self | None:
        return self if self.rate > 0 else None


def dropped_classes(rate: float, classes: int) -> int:
    """Return floor(rate * K), such that at least 2 stay; 1e-9 keeps 0.3 * 10 at 3."""
    return max(0, min(math.floor(rate * classes + 1e-9), classes - 2))


def keep_all(logits_BK: Tensor) -> Tensor:
    """Return the mask [B, K] that drops nothing."""
    return torch.ones_like(logits_BK, dtype=torch.bool)
