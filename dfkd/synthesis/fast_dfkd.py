"""Fast-DFKD's memory bank: batch after batch of images that fit the teacher's statistics.

B batch, Z latents, K classes, N rows, H height, W width, C channels.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dfkd.data.tasks import Task
from dfkd.models.networks import Network
from dfkd.models.networks.batch_norm import layers_with_statistics
from dfkd.models.networks.network import Tapped
from dfkd.synthesis import losses
from dfkd.synthesis.generator import first_generator, latents
from dfkd.synthesis.pool import Synthesised, check_finite, check_numbers, normalised, pixels


@dataclass(frozen=True, kw_only=True)
class FastDfkd(Synthesised):
    """Fills a memory bank: a generator that starts from what is common is adapted to each batch.

    Formula: for each batch of new latents (`latent` normal numbers an image) and classes c in turn,
    a copy of the generator takes `steps` steps of Adam (learning_rate; latents: latent_rate) on
    one_hot * CE(t, c) + batch_norm * sum over layers of |m - mu| + |v - sigma^2|: t are the
    teacher's logits, m and v the batch's mean and variance at each of its BatchNorm layers, mu and
    sigma^2 the layer's own. The images of the least loss are kept; then the generator moves by
    `common` of the way to its copy. After `warm_up` batches that are forgotten come the `rows`.
    Source: our reading of Fast-DFKD (Fang et al., AAAI 2022); its losses are DeepInversion's and
    CMI's. Ours: without the adversarial term, so that the images do not depend on the student and
    are made once for all; Reptile's plain step for the common start (there with Adam); no crops or
    flips of the images that the teacher sees; classes as often as each other.
    Range: rows 100 to 10,000,000; common in [0, 1]; weights and latent_rate 0 or more; width, of
    the generator's last maps, latent and steps 1 or more; batch 2 or more. Images of 8 to 128
    pixels a side; a teacher with BatchNorm statistics.
    Interplay: the draw is the seed. The probe lies in this pool too: compare with other pools by
    validation and test. The seconds of the synthesis count in a cell's.
    """

    version: ClassVar[int] = 1
    rows: int = 2_500
    batch: int = 128
    steps: int = 20
    warm_up: int = 5
    latent: int = 100
    width: int = 16
    learning_rate: float = 5e-3
    latent_rate: float = 1e-2
    one_hot: float = 0.5
    batch_norm: float = 0.3
    common: float = 0.3

    def __post_init__(self) -> None:
        check_numbers(self, rows=100, batch=2, steps=1, warm_up=0, latent=1, width=1)
        if self.common > 1:
            raise ValueError(f"common must lie in [0, 1], but got common={self.common!r}")

    def check_teacher(self, network: Network, task: Task) -> None:
        module = network.build(task.classes, task.image_shape[2])
        if not layers_with_statistics(module):
            raise ValueError(
                "fast_dfkd fits images to the teacher's BatchNorm statistics, but "
                f"{type(network).__name__} of this teacher has none: take the pool dafl"
            )

    def synthesise(self, teacher: Tapped, task: Task, draw: int, device: str) -> NDArray[np.uint8]:
        common = first_generator(self.latent, self.width, task.image_shape, draw).to(device)
        judge, bank = Judge(self, teacher, task), []
        for number in range(self.warm_up + -(-self.rows // self.batch)):
            made = copy.deepcopy(common)
            latent_BZ = latents(self.batch, self.latent, draw, number).to(device)
            class_B = (number * self.batch + torch.arange(self.batch, device=device)) % task.classes
            images_BCHW = self._adapted(made, latent_BZ, class_B, judge)
            self._move(common, made)
            if number >= self.warm_up:
                bank.append(pixels(images_BCHW))
        return np.concatenate(bank)[: self.rows]

    def _adapted(self, made: nn.Module, latent_BZ: Tensor, class_B: Tensor, judge: Judge) -> Tensor:
        """Adapt generator and latents to the batch; return the images of the least loss."""
        latent_BZ.requires_grad_()
        optimizer = self._optimizer(made, latent_BZ)
        best_BCHW, least = latent_BZ, math.inf
        for _ in range(self.steps):
            images_BCHW: Tensor = made(latent_BZ)
            loss = judge(images_BCHW, class_B)
            if (value := loss.item()) < least:
                best_BCHW, least = images_BCHW.detach(), value
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        check_finite(least)
        return best_BCHW

    def _optimizer(self, made: nn.Module, latent_BZ: Tensor) -> torch.optim.Optimizer:
        return torch.optim.Adam(
            [
                {"params": list(made.parameters()), "lr": self.learning_rate},
                {"params": [latent_BZ], "lr": self.latent_rate},
            ],
            betas=(0.5, 0.999),
        )

    @torch.no_grad()
    def _move(self, common: nn.Module, made: nn.Module) -> None:
        """Move the common start towards what one batch has made of it (Reptile)."""
        adapted = made.state_dict()
        for name, value in common.state_dict().items():
            if value.is_floating_point():  # BatchNorm also counts its batches
                value.lerp_(adapted[name], self.common)


class Judge:
    """The loss of images that are to be of some classes, as a teacher sees them."""

    def __init__(self, pool: FastDfkd, teacher: Tapped, task: Task) -> None:
        self.pool, self.teacher, self.task = pool, teacher, task
        self.statistics = losses.Statistics(teacher)

    def __call__(self, images_BCHW: Tensor, class_B: Tensor) -> Tensor:
        """Return what a step makes smaller, of images in [0, 1]."""
        logits_BK, _ = self.teacher(normalised(images_BCHW, self.task))
        of_classes = losses.one_hot(logits_BK, class_B)
        return self.pool.one_hot * of_classes + self.pool.batch_norm * self.statistics.loss()
