"""Ema: a moving average of the student's weights."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from dfkd.identity import Piece
from dfkd.method.finishing.finishing import Batches, Remembered


@dataclass(frozen=True, kw_only=True)
class Ema(Piece):
    """Evaluates and keeps a moving average of the student's weights over the steps.

    Formula: m_t = d_t m_{t-1} + (1 - d_t) w_t, d_t = min(decay, 1 - 1/t): the plain mean of the
    first steps, then the moving one; of weights and of BatchNorm's running statistics.
    Source: published, Polyak and Juditsky (1992); the rising decay as in Mean Teacher (Tarvainen
    and Valpola, NeurIPS 2017).
    Range: decay in (0, 1); 0.99 looks back over some 100 steps.
    Interplay: tried on Fashion-MNIST, nothing gained (docs/protocol.md): a learning rate that falls
    to 0 has averaged already. Redrawing selections still ask the student that is trained.
    """

    decay: float = 0.99
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not 0 < self.decay < 1:
            raise ValueError(
                f"finishing.decay must lie between 0 and 1, but got decay={self.decay!r}"
            )

    def begin(self, student: nn.Module) -> Remembered:
        state = student.state_dict()
        return {name: v.clone() for name, v in state.items() if v.is_floating_point()}

    @torch.no_grad()
    def follow(self, remembered: Remembered, student: nn.Module, step: int) -> None:
        state = student.state_dict()
        weights = [state[name] for name in remembered]
        new = 1 - min(self.decay, 1 - 1 / step)
        torch._foreach_lerp_(list(remembered.values()), weights, new)

    def finish(self, remembered: Remembered, student: nn.Module, images: Batches) -> None:
        student.load_state_dict(student.state_dict() | remembered)
