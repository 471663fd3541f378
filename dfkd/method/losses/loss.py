"""What every loss reads, what it must know beforehand, and what it promises.

B batch, K classes, D feature width of the teacher, E of the student; C, H, W channels, height and
width of a map.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

from torch import Tensor, nn

from dfkd.identity import Piece
from dfkd.method.defaults import with_defaults


@dataclass(frozen=True)
class Outputs:
    """What a network says of a batch: logits [B, K], pooled features [B, D], and more on demand.

    maps: what the network's stages give out, [B, C, H, W] each, the last stage last ("maps").
    second: the same network's outputs for a second view of the same images ("second_view", the
    student's only).
    rows_B, seed: each image's position among the selected rows, and a seed for what a loss draws in
    this step ("rows", the teacher's only: they are the same for both).
    """

    logits_BK: Tensor
    features_BD: Tensor
    maps: tuple[Tensor, ...] = ()
    second: Outputs | None = None
    rows_B: Tensor | None = None
    seed: int | None = None

    def each(self, change: Callable[[Tensor], Tensor]) -> Outputs:
        """Return the same with `change` applied to all that the network said."""
        return Outputs(
            change(self.logits_BK),
            change(self.features_BD),
            tuple(change(map_BCHW) for map_BCHW in self.maps),
            self.second and self.second.each(change),
            self.rows_B,
            self.seed,
        )


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What a loss must know of the two networks and the selected rows to build what it trains.

    student_maps, teacher_maps: (C, H, W) of each stage, empty where no loss needs maps; rows: how
    many are selected; teacher_accuracy: on validation labels, where a loss needs it and there are
    any; teacher_head: weight [K, D] and bias [K] of its last layer, where a loss needs them.
    """

    classes: int
    student_width: int
    teacher_width: int
    student_maps: tuple[tuple[int, int, int], ...] = ()
    teacher_maps: tuple[tuple[int, int, int], ...] = ()
    rows: int = 0
    teacher_accuracy: float | None = None
    teacher_head: tuple[Tensor, Tensor | None] | None = None


class Loss(Protocol):
    """An explicit or implicit loss.

    All but `version`, `weight`, `ramp` and `module` has a default in `BaseLoss`.
    """

    version: ClassVar[int]

    @property
    def weight(self) -> float:
        """0 or more; a loss of weight 0 is the same experiment as no such loss."""

    @property
    def ramp(self) -> float:
        """The share of the steps over which the weight rises linearly from 0, in [0, 1]."""

    @property
    def needs(self) -> frozenset[str]:
        """What is read beside logits and pooled features, some of NEEDS."""

    @property
    def own_learning_rate(self) -> float | None:
        """The rate of an Adam that trains the module alone; None: the student's optimizer does."""

    @property
    def capturable(self) -> bool:
        """Whether a CUDA graph may replay the module: it computes with tensors alone.

        It then draws no random numbers of its own and reads nothing that Python changes between
        steps.
        """

    def canonical(self) -> Loss | None:
        """Return the one form of all equal losses, for identity; None where the weight is 0."""

    def terms(self, part: str) -> dict[str, Loss]:
        """Return the terms of the total that stand at `part`, by name: this loss, or two of it."""

    def module(self, sizes: Sizes) -> nn.Module:
        """Build a module `(student: Outputs, teacher: Outputs) -> scalar` with all that it trains.

        The scalar is not weighted. PyTorch's random state is seeded by the caller.
        """

    @classmethod
    def example(cls) -> Self:
        """Return an instance with likely values, for tables and tests."""


class BaseLoss(Piece):
    """What a loss need not declare: it needs no more, and is one term, trained with the student."""

    capturable: ClassVar[bool] = False

    def __post_init__(self: Loss) -> None:
        check_weight(self.weight, self.ramp)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset()

    @property
    def own_learning_rate(self) -> float | None:
        return None

    def canonical(self: Loss) -> Loss | None:
        return self if self.weight > 0 else None

    def terms(self: Loss, part: str) -> dict[str, Loss]:
        return {part: self}


NEEDS = frozenset({"maps", "second_view", "rows", "teacher_accuracy", "teacher_head"})


def needs_of(loss: Loss) -> frozenset[str]:
    """Return what a loss reads beside logits and pooled features.

    "maps", "second_view", "rows": see Outputs; the first two cost a pass through the teacher in
    every step. "teacher_accuracy", "teacher_head": see Sizes. ValueError for a need that there is
    not.
    """
    needs = with_defaults(loss, BaseLoss).needs
    if not needs <= NEEDS:
        raise ValueError(
            f"a loss may need {sorted(NEEDS)}, but got {sorted(needs)} from {type(loss).__name__}"
        )
    return needs


def check_weight(weight: float, ramp: float) -> None:
    """Raise ValueError for a weight below 0 or not finite, and for a ramp outside [0, 1]."""
    if not 0 <= weight < math.inf:
        raise ValueError(f"a loss weight must be 0 or more, but got {weight=}")
    if not 0 <= ramp <= 1:
        raise ValueError(
            f"ramp must lie in [0, 1], the share of the steps with a rising weight, but got {ramp=}"
        )


def check_temperature(name: str, value: float) -> None:
    """Raise ValueError for what is no finite number above 0."""
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be above 0, but got {value}")


def projector(width_in: int, width: int) -> nn.Module:
    """Return Linear + BatchNorm where the widths differ, nothing where they agree."""
    if width_in == width:
        return nn.Identity()
    return nn.Sequential(nn.Linear(width_in, width, bias=False), nn.BatchNorm1d(width))
