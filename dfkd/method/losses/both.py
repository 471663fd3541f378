"""Two losses in the place of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from dfkd.method.losses.loss import Loss, Sizes


@dataclass(frozen=True, kw_only=True)
class Both:
    """Two losses side by side, each with its own weight and ramp: terms "..._first" and
    "..._second" of the total.

    For recipes whose explicit or implicit part has two terms: ODSD's relations are
    `Both(first=NTXent(...), second=TeacherContrast(...))`, its weights not known to us. Interplay:
    one of weight 0 leaves the other alone, which is the same experiment as that one.
    """

    first: Loss
    second: Loss
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if isinstance(self.first, Both) or isinstance(self.second, Both):
            raise ValueError(
                "a pair of losses holds two losses, not pairs: write a loss of your own for three"
            )

    @property
    def weight(self) -> float:
        return self.first.weight + self.second.weight

    @property
    def ramp(self) -> float:
        return max(self.first.ramp, self.second.ramp)

    def canonical(self) -> Loss:
        if self.first.weight and self.second.weight:
            return self
        return self.first if self.first.weight else self.second

    def module(self, sizes: Sizes) -> nn.Module:
        raise TypeError("an experiment takes a pair of losses apart: build the module of each")
