"""Two losses in the place of one."""

from dataclasses import dataclass
from typing import ClassVar, Self

from torch import nn

from dfkd.method.defaults import with_defaults
from dfkd.method.losses.contrast import NTXent, TeacherContrast
from dfkd.method.losses.loss import BaseLoss, Loss, Sizes


@dataclass(frozen=True, kw_only=True)
class Both(BaseLoss):
    """Puts two losses side by side, each with its own weight and ramp.

    Formula: they are the terms "..._first" and "..._second" of the total.
    Source: ours, for recipes whose explicit or implicit part has two terms; ODSD's relations are
    `Both(first=NTXent(...), second=TeacherContrast(...))`, its weights not known to us.
    Range: first and second are any losses but pairs.
    Interplay: one of weight 0 leaves the other alone, which is the same experiment as that one.
    """

    first: Loss
    second: Loss
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if any(len(loss.terms("")) > 1 for loss in self._two):
            raise ValueError(
                "a pair of losses holds two losses, not pairs: write a loss of your own for three"
            )

    @property
    def weight(self) -> float:
        return self.first.weight + self.second.weight

    @property
    def ramp(self) -> float:
        return max(self.first.ramp, self.second.ramp)

    @classmethod
    def example(cls) -> Self:
        return cls(
            first=NTXent(weight=1.0, tau=0.5, ramp=0.1),
            second=TeacherContrast(weight=1.0, tau=0.1, ramp=0.1),
        )

    @property
    def _two(self) -> tuple[Loss, Loss]:
        return with_defaults(self.first, BaseLoss), with_defaults(self.second, BaseLoss)

    def canonical(self) -> Loss | None:
        heavy = [loss for loss in (self.first, self.second) if loss.weight > 0]
        return self if len(heavy) == 2 else heavy[0] if heavy else None

    def terms(self, part: str) -> dict[str, Loss]:
        first, second = self._two
        return {f"{part}_first": first, f"{part}_second": second}

    def module(self, sizes: Sizes) -> nn.Module:
        raise TypeError("an experiment takes a pair of losses apart: build the module of each")
