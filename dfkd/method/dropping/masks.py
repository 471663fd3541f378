"""Rules that mask classes sample by sample. B batch, K classes, J kept classes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from dfkd.method.dropping.rule import BaseDropping, Rate, dropped_classes, keep_all


@dataclass(frozen=True, kw_only=True)
class Tail(Rate):
    """Drops the least likely classes of each sample and renormalises the rest. The default rule.

    Formula: floor(rate * K) classes are dropped, at least 2 stay. The student keeps its full
    softmax, so the mass that it puts on dropped classes is pushed to zero; masking it too would
    leave its dropped logits unsupervised.
    Source: our reading of the abstract.
    Range: rate in [0, 1). The number of classes is the identity, not the rate: 0.31 and 0.35 of ten
    classes are one experiment.
    """

    version: ClassVar[int] = 1
    masks_student: ClassVar[bool] = False
    fixed: ClassVar[bool] = True

    def dropped(self, classes: int) -> int:
        """Return how many of `classes` are dropped."""
        return dropped_classes(self.rate, classes)

    def canonical(self, classes: int) -> Tail | None:
        count = self.dropped(classes)
        return replace(self, rate=count / classes) if count else None

    def keep(
        self, logits_BK: Tensor, generator: torch.Generator, temperature: float = 1.0
    ) -> Tensor:
        classes = logits_BK.shape[1]
        best_BJ = logits_BK.argsort(dim=1, descending=True, stable=True)[
            :, : classes - self.dropped(classes)
        ]
        return torch.zeros_like(logits_BK, dtype=torch.bool).scatter_(1, best_BJ, True)


@dataclass(frozen=True, kw_only=True)
class Random(Rate):
    """Drops each class but the most likely one at random, anew for every sample and step.

    Formula: independently with probability `rate`. Both softmaxes are masked: a dropped logit gets
    no gradient in this step and is supervised in others.
    Source: our reading of the abstract, the literal "dropout over classes".
    Range: rate in [0, 1).
    """

    version: ClassVar[int] = 1
    masks_student: ClassVar[bool] = True

    def keep(
        self, logits_BK: Tensor, generator: torch.Generator, temperature: float = 1.0
    ) -> Tensor:
        keep_BK = torch.rand(logits_BK.shape, generator=generator).to(logits_BK.device) >= self.rate
        return keep_BK.scatter_(1, logits_BK.argmax(dim=1, keepdim=True), True)


@dataclass(frozen=True, kw_only=True)
class ByConfidence(Rate):
    """Drops classes at random, more of them where the teacher is less sure.

    Formula: each class but the most likely one with probability rate * (1 - c_i), c_i = max_k
    softmax(t_i)_k at temperature 1; anew for every sample and step, both softmaxes masked as in
    `Random`.
    Source: our reading of the abstract's "noise".
    Range: rate in [0, 1), reached where the teacher knows nothing.
    Interplay: on a confident selection it drops next to nothing.
    """

    version: ClassVar[int] = 1
    masks_student: ClassVar[bool] = True

    def keep(
        self, logits_BK: Tensor, generator: torch.Generator, temperature: float = 1.0
    ) -> Tensor:
        rate_B = self.rate * (1 - F.softmax(logits_BK, dim=1).amax(dim=1))
        keep_BK = (
            torch.rand(logits_BK.shape, generator=generator).to(logits_BK.device) >= rate_B[:, None]
        )
        return keep_BK.scatter_(1, logits_BK.argmax(dim=1, keepdim=True), True)


@dataclass(frozen=True, kw_only=True)
class Nucleus(BaseDropping):
    """Keeps the smallest set of most likely classes that holds `mass`, and renormalises.

    Formula: classes are kept in the order of their probability until the sum reaches `mass`, at the
    temperature of the distillation loss; the student keeps its full softmax, as in `Tail`.
    Source: our reading of the abstract, by the rule of nucleus sampling (Holtzman et al., ICLR
    2020).
    Range: mass in (0, 1]; 1 drops nothing.
    Interplay: at temperature 1 a confident answer keeps one class, a hard label; the higher the
    temperature, the more classes stay at the same mass.
    """

    mass: float
    version: ClassVar[int] = 1
    masks_student: ClassVar[bool] = False
    fixed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 < self.mass <= 1:
            raise ValueError(
                f"dropping.mass must lie in (0, 1], the probability to keep, but got {self.mass}"
            )

    @classmethod
    def example(cls) -> Self:
        return cls(mass=0.9)

    def canonical(self, classes: int) -> Nucleus | None:
        return self if self.mass < 1 else None

    def keep(
        self, logits_BK: Tensor, generator: torch.Generator, temperature: float = 1.0
    ) -> Tensor:
        if self.mass == 1:
            return keep_all(logits_BK)
        sorted_BK, order_BK = (logits_BK / temperature).sort(dim=1, descending=True, stable=True)
        probability_BK = F.softmax(sorted_BK, dim=1)
        # the mass of all likelier classes
        before_BK = probability_BK.cumsum(dim=1) - probability_BK
        keep_BK = keep_all(logits_BK).scatter_(1, order_BK, before_BK < self.mass)
        return keep_BK.scatter_(1, logits_BK.argmax(dim=1, keepdim=True), True)
