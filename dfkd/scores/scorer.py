"""The scorer: a teacher that answers to clean images, batch by batch, on any device.

N images, B batch, K classes, D feature width.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfkd.data.images.transforms import normalised, on_device
from dfkd.data.tasks import Task
from dfkd.models.networks import Tapped
from dfkd.models.teachers import TrainedNetwork

BATCH = 256  # fixed: the size of a batch changes the last bits of a matrix product
SENT_TOGETHER = 16 * BATCH  # images, on their way to a GPU


class Scorer:
    """Has a teacher's network on a device, and answers with it to as many images as are wanted."""

    def __init__(self, teacher: TrainedNetwork, task: Task, device: str = "cpu") -> None:
        self.teacher, self.task, self.device = teacher, task, device
        self.network = Tapped(teacher.build(task).to(device)).eval()

    def __call__(
        self, images_NHWC: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return logits [N, K] and pooled features [N, D] of clean images, without gradients."""
        logits, features = [], []
        with torch.inference_mode():
            for images_BCHW in self._batches(images_NHWC):
                logits_BK, features_BD = self.network(images_BCHW)
                logits.append(logits_BK.float())
                features.append(features_BD.float())
            # read back at the end: a GPU would have to stop for each
            return torch.cat(logits).cpu().numpy(), torch.cat(features).cpu().numpy()

    def _batches(self, images_NHWC: NDArray[np.uint8]) -> Iterator[Tensor]:
        """Yield the images as the network reads them; many batches travel to a GPU at a time."""
        for start in range(0, len(images_NHWC), SENT_TOGETHER):
            sent = np.require(images_NHWC[start : start + SENT_TOGETHER], requirements=["C", "W"])
            for part_BHWC in on_device(sent, self.device).split(BATCH):
                yield normalised(part_BHWC, self.task)


def score_images(
    teacher: TrainedNetwork, images_NHWC: NDArray[np.uint8], task: Task, device: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return logits [N, K] and pooled features [N, D] of clean images; see `Scorer`."""
    return Scorer(teacher, task, device)(images_NHWC)
