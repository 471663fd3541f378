"""Transforms: stored uint8 images to normalised float tensors, and the augmentation of views.

B batch, H height, W width, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfkd.data.tasks import Task


def to_tensor(images_BHWC: NDArray[np.uint8], task: Task, device: str | torch.device = "cpu") -> Tensor:
    """Float images [B, C, H, W], normalised with the TARGET task's statistics, for pools as well (CMI, MosaicKD)."""
    images_BHWC = np.require(images_BHWC, requirements=["C", "W"])  # a copy of what lies in shared memory, read only
    images_BCHW = torch.from_numpy(images_BHWC).to(device).permute(0, 3, 1, 2).float()
    mean_C = torch.tensor(task.mean, device=device).view(1, -1, 1, 1) * 255
    std_C = torch.tensor(task.std, device=device).view(1, -1, 1, 1) * 255
    return (images_BCHW - mean_C) / std_C


@dataclass(frozen=True, kw_only=True)
class Crop:
    """Random crop after padding with black by `padding` pixels, and a horizontal flip with probability 1/2 if `flip`.

    The teacher's answer stays the one for the clean image (cached); only the student sees the augmented view.
    """

    padding: int = 4
    flip: bool = True
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.padding < 0:
            raise ValueError(f"views.padding must be 0 pixels or more, but got {self.padding=}")

    def augment(self, images_BHWC: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
        """Augmented copies, drawn from `seed` for all images together: a worker augments the whole batch."""
        rng = np.random.default_rng(seed)
        batch, height, width, _ = images_BHWC.shape
        p = self.padding
        top_B, left_B = rng.integers(0, 2 * p + 1, (2, batch))
        padded = np.pad(images_BHWC, ((0, 0), (p, p), (p, p), (0, 0)))
        rows_BH = top_B[:, None] + np.arange(height)
        columns_BW = left_B[:, None] + np.arange(width)
        image_B = np.arange(batch)
        cropped: NDArray[np.uint8] = padded[image_B[:, None, None], rows_BH[:, :, None], columns_BW[:, None, :]]
        if self.flip:
            flipped_B = rng.random(batch) < 0.5
            cropped[flipped_B] = cropped[flipped_B, :, ::-1]
        return cropped


VIEWS = (Crop,)
