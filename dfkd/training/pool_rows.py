"""The pool's rows as a run reads them in every step: in memory of this machine, or on a GPU.

N rows of the pool, M selected ones, B batch, K classes, D feature width.
"""

from __future__ import annotations

from math import prod
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfkd.data.images.transforms import on_device
from dfkd.method.losses import Outputs
from dfkd.training.inputs import Inputs

Rows = NDArray[np.int64]
SHARE = 0.3  # of a GPU's free memory that the rows may take: a student trains beside them
READ_TOGETHER = 4096  # rows, on their way to a GPU


class PoolRows(Protocol):
    """What a run reads of rows, on its device. rows_B: places in the pool, 0 to N - 1."""

    def images(self, rows_B: Rows) -> Tensor:
        """Return the images [B, H, W, C], uint8."""

    def answers(self, rows_B: Rows) -> Outputs:
        """Return the teacher's cached answers to the clean images."""


class HostRows:
    """Rows that are read where they lie, memory maps as a rule, and copied to the device."""

    def __init__(self, inputs: Inputs, device: str) -> None:
        self.device = device
        images = inputs.images_NHWC
        # a memory map is slower to index
        self.images_NHWC = np.asarray(images) if isinstance(images, np.memmap) else images
        self.logits_NK = inputs.scores.logits_NK
        self.features_ND = np.asarray(inputs.scores.features_ND)

    def images(self, rows_B: Rows) -> Tensor:
        return on_device(self.images_NHWC[rows_B], self.device)

    def answers(self, rows_B: Rows) -> Outputs:
        return Outputs(
            on_device(np.asarray(self.logits_NK[rows_B]), self.device),
            on_device(self.features_ND[rows_B], self.device),
        )


class DeviceRows:
    """The selected rows, copied to a GPU once. A step then sends it their places only."""

    def __init__(self, host: HostRows, rows_M: Rows) -> None:
        self.rows_M, self.device = rows_M, host.device
        parts = [
            rows_M[start : start + READ_TOGETHER] for start in range(0, len(rows_M), READ_TOGETHER)
        ]
        self.images_MHWC = torch.cat([host.images(part) for part in parts])
        answers = [host.answers(part) for part in parts]
        self.logits_MK = torch.cat([answer.logits_BK for answer in answers])
        self.features_MD = torch.cat([answer.features_BD for answer in answers])

    def images(self, rows_B: Rows) -> Tensor:
        return self.images_MHWC[self._places(rows_B)]

    def answers(self, rows_B: Rows) -> Outputs:
        places_B = self._places(rows_B)
        return Outputs(self.logits_MK[places_B], self.features_MD[places_B])

    def _places(self, rows_B: Rows) -> Tensor:
        return on_device(np.searchsorted(self.rows_M, rows_B), self.device)


def pool_rows(inputs: Inputs, rows_M: Rows, device: str) -> PoolRows:
    """Return the selected rows on the GPU where they fit beside a student, else where they lie.

    rows_M: places in the pool, ascending. What a step reads is the same, bit for bit.
    """
    host = HostRows(inputs, device)
    if torch.device(device).type != "cuda":
        return host
    free, _ = torch.cuda.mem_get_info(device)
    return DeviceRows(host, rows_M) if len(rows_M) * _bytes(inputs) < SHARE * free else host


def _bytes(inputs: Inputs) -> int:
    """Return the bytes of one row: its image, K logits and D features."""
    image: int = prod(inputs.images_NHWC.shape[1:])
    answer: int = inputs.scores.classes + inputs.scores.features_ND.shape[1]
    return image + 4 * answer
