"""What every rule of class dropping promises. B batch, K classes, N selected rows."""

from __future__ import annotations

import math
from typing import ClassVar, Protocol, Self, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfkd.scores import Scores


class Dropping(Protocol):
    """A rule that masks classes. `masks_student` says whether the student's softmax is masked as
    well.

    A rule with `weight`, `ramp` and `module`, as a loss has them, adds a loss term of its own to
    the total.
    """

    version: ClassVar[int]
    masks_student: ClassVar[bool]

    def canonical(self, classes: int) -> Self | None:
        """The same rule in the one form that identity is taken from; None where it drops
        nothing.
        """
        ...

    def keep(
        self, logits_BK: Tensor, generator: torch.Generator, temperature: float = 1.0
    ) -> Tensor:
        """Boolean mask [B, K] for teacher logits; `generator` belongs to this block and step.

        temperature: the one at which the loss on the answer reads the logits.
        """
        ...


@runtime_checkable
class FiltersRows(Protocol):
    """A rule that takes rows out of the selection, before training."""

    def filter(self, scores: Scores, rows_N: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of the selected positions in `scores` that stay, in their order."""
        ...


def check_rate(rate: float) -> None:
    if not 0 <= rate < 1:
        raise ValueError(
            f"dropping.rate must lie in [0, 1), the share of classes to drop, but got {rate=}"
        )


def dropped_classes(rate: float, classes: int) -> int:
    """floor(rate * K), at least 2 stay; 1e-9 keeps 0.3 * 10 at 3."""
    return max(0, min(math.floor(rate * classes + 1e-9), classes - 2))


def keep_all(logits_BK: Tensor) -> Tensor:
    return torch.ones_like(logits_BK, dtype=torch.bool)
