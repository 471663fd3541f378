"""RecalibratedBatchNorm: running statistics of the finished weights, not of those on the way."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from dfkd.identity import Piece
from dfkd.method.finishing.finishing import Batches, Remembered
from dfkd.models.networks.batch_norm import KINDS


@dataclass(frozen=True, kw_only=True)
class RecalibratedBatchNorm(Piece):
    """Computes BatchNorm's running statistics anew, on selected rows, before each evaluation.

    Formula: mean and variance of each layer are the means of those of all batches, computed at the
    weights of now, over `rows` selected rows as they lie in the pool.
    Source: published, as "precise BN" (Wu and Johnson, 2021).
    Range: rows, 2 or more: how many of the selected rows; all where fewer are selected.
    Interplay: tried on Fashion-MNIST with selected and with the nearest rows, nothing gained
    (docs/protocol.md). A student without BatchNorm stays as it is.
    """

    rows: int = 1024
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.rows < 2:
            raise ValueError(f"finishing.rows must be 2 or more, but got rows={self.rows!r}")

    def begin(self, student: nn.Module) -> Remembered:
        return {}

    def follow(self, remembered: Remembered, student: nn.Module, step: int) -> None:
        pass

    @torch.no_grad()
    def finish(self, remembered: Remembered, student: nn.Module, images: Batches) -> None:
        layers = [m for m in student.modules() if isinstance(m, (*KINDS, nn.SyncBatchNorm))]
        student.eval()  # nothing but BatchNorm may see a batch as in training
        momenta = [layer.momentum for layer in layers]
        for layer in layers:
            layer.train().reset_running_stats()
            layer.momentum = None  # the mean over all batches
        for images_BCHW in images(self.rows):
            student(images_BCHW)
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.eval().momentum = momentum
