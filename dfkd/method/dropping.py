"""Class dropping: which classes of the teacher's answer are noise and are taken out of the target.

B batch, K classes. A rule returns a mask `keep_BK`; the teacher's most likely class is always kept, and rate 0 is
exactly plain KD. The abstract names "class-dropping" without a formula: the rules are our reading of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, Self

import torch
from torch import Tensor


class Dropping(Protocol):
    """A rule that masks classes. `masks_student` says whether the student's softmax is masked as well."""

    version: ClassVar[int]
    masks_student: ClassVar[bool]

    def canonical(self, classes: int) -> Self | None:
        """The same rule in the one form that identity is taken from; None where it drops nothing."""
        ...

    def keep(self, logits_BK: Tensor, generator: torch.Generator) -> Tensor:
        """Boolean mask [B, K] for teacher logits; `generator` belongs to this block and step."""
        ...


def check_rate(rate: float) -> None:
    if not 0 <= rate < 1:
        raise ValueError(f"dropping.rate must lie in [0, 1), the share of classes to drop, but got {rate=}")


@dataclass(frozen=True, kw_only=True)
class Tail:
    """Drop the least likely classes of each sample and renormalise the rest. The default rule.

    floor(rate * K) classes are dropped, at least 2 stay. The number is the identity, not the rate: 0.31 and 0.35 of
    ten classes are one experiment. The student keeps its full softmax, so the mass it puts on dropped classes is
    pushed to zero; masking it too would leave its dropped logits unsupervised. Our reading of the abstract.
    """

    rate: float
    version: ClassVar[int] = 1
    masks_student: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_rate(self.rate)

    def dropped(self, classes: int) -> int:
        """How many of `classes` are dropped; 1e-9 keeps 0.3 * 10 at 3."""
        return max(0, min(math.floor(self.rate * classes + 1e-9), classes - 2))

    def canonical(self, classes: int) -> Tail | None:
        count = self.dropped(classes)
        return replace(self, rate=count / classes) if count else None

    def keep(self, logits_BK: Tensor, generator: torch.Generator) -> Tensor:
        classes = logits_BK.shape[1]
        best_BJ = logits_BK.argsort(dim=1, descending=True, stable=True)[:, : classes - self.dropped(classes)]
        return torch.zeros_like(logits_BK, dtype=torch.bool).scatter_(1, best_BJ, True)


@dataclass(frozen=True, kw_only=True)
class Random:
    """Drop each class but the most likely one with probability `rate`, anew for every sample and step.

    Both softmaxes are masked: a dropped logit gets no gradient in this step and is supervised in others. The literal
    "dropout over classes" reading of the abstract.
    """

    rate: float
    version: ClassVar[int] = 1
    masks_student: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_rate(self.rate)

    def canonical(self, classes: int) -> Random | None:
        return self if self.rate > 0 else None

    def keep(self, logits_BK: Tensor, generator: torch.Generator) -> Tensor:
        keep_BK = torch.rand(logits_BK.shape, generator=generator).to(logits_BK.device) >= self.rate
        return keep_BK.scatter_(1, logits_BK.argmax(dim=1, keepdim=True), True)


DROPPINGS: tuple[type[Dropping], ...] = (Tail, Random)
