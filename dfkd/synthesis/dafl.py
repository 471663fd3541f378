"""DAFL: a generator is trained against the teacher's answers and features; its images are kept.

B batch, Z latents, K classes, D feature width, N rows, H height, W width, C channels.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfkd.data.tasks import Task
from dfkd.models.networks.network import Tapped
from dfkd.synthesis import losses
from dfkd.synthesis.generator import first_generator, latents
from dfkd.synthesis.pool import Synthesised, check_finite, check_numbers, normalised, pixels


@dataclass(frozen=True, kw_only=True)
class Dafl(Synthesised):
    """Trains a generator against the teacher alone, and keeps images of its second half of steps.

    Formula: the generator takes `steps` steps of Adam on one_hot * CE(t, argmax t) - activation *
    mean |f| + information * sum_k p_k log p_k: t and f are the teacher's logits and pooled features
    of `batch` images, p its mean answer to them. Each step's images are of new latents, `latent`
    normal numbers each; those of evenly spaced steps from steps/2 on are the `rows`.
    Source: published, DAFL (Chen et al., ICCV 2019); there the student learns beside the generator
    from each step's images, of which the generator is not told, so that a pool made before the
    student is the same thing but for the order. Ours: 8-bit images of a sigmoid (there tanh and a
    BatchNorm), natural logarithms (in its code to the base of 10), fewer steps.
    Range: rows 100 to 10,000,000; steps 2 or more, so many that steps/2 batches are the rows;
    weights of 0 or more; width, of the generator's last maps, and latent 1 or more; batch 2 or
    more; learning_rate above 0. Images of 8 to 128 pixels a side.
    Interplay: the draw is the seed. The probe lies in this pool too: compare with other pools by
    validation and test. The seconds of the synthesis count in a cell's.
    """

    version: ClassVar[int] = 1
    rows: int = 2_500
    steps: int = 600
    batch: int = 128
    latent: int = 100
    width: int = 16
    learning_rate: float = 1e-3
    one_hot: float = 1.0
    activation: float = 0.1
    information: float = 5.0

    def __post_init__(self) -> None:
        check_numbers(self, rows=100, steps=2, batch=2, latent=1, width=1)
        if self.rows > (self.steps - self.steps // 2) * self.batch:
            raise ValueError(
                "the second half of the steps must make all rows, but got "
                f"steps={self.steps}, batch={self.batch}, rows={self.rows}"
            )

    def synthesise(self, teacher: Tapped, task: Task, draw: int, device: str) -> NDArray[np.uint8]:
        made = first_generator(self.latent, self.width, task.image_shape, draw).to(device)
        optimizer = torch.optim.Adam(made.parameters(), lr=self.learning_rate)
        kept, found = self.kept_steps(), []
        for step in range(self.steps):
            images_BCHW = made(latents(self.batch, self.latent, draw, step).to(device))
            loss = self.loss(*teacher(normalised(images_BCHW, task)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step in kept:
                found.append(pixels(images_BCHW))
        check_finite(loss.item())
        return np.concatenate(found)[: self.rows]

    def loss(self, logits_BK: Tensor, features_BD: Tensor) -> Tensor:
        """Return what a step makes smaller."""
        return (
            self.one_hot * losses.one_hot(logits_BK)
            + self.activation * losses.activation(features_BD)
            + self.information * losses.information(logits_BK)
        )

    def kept_steps(self) -> set[int]:
        """Return the steps whose images are kept."""
        batches, second_half = -(-self.rows // self.batch), self.steps - self.steps // 2
        return {self.steps - 1 - i * second_half // batches for i in range(batches)}
