"""The generator of images: the small convolutional one that DAFL and its successors use.

B images, Z latents, C channels, H height, W width.
"""

from typing import cast

import torch
from torch import Tensor, nn

from dfkd.data.importing.shards import ImageShape
from dfkd.seeding import generator, stream


class ImageGenerator(nn.Module):
    """Makes images in [0, 1] of latents: a linear layer, then twice the pixels a side, twice.

    DAFL's ends with tanh and a BatchNorm; this one with a sigmoid, since images are kept in 8 bits.
    """

    def __init__(self, latent: int, width: int, image_shape: ImageShape) -> None:
        super().__init__()
        height, width_of_image, channels = image_shape
        self.size = (height, width_of_image)
        self.start = (2 * width, -(-height // 4), -(-width_of_image // 4))
        self.project = nn.Linear(latent, self.start[0] * self.start[1] * self.start[2])
        self.maps = nn.Sequential(
            nn.BatchNorm2d(2 * width),
            *_doubled(2 * width, 2 * width),
            *_doubled(2 * width, width),
            nn.Conv2d(width, channels, 3, 1, 1),
            nn.Sigmoid(),
        )

    def forward(self, latent_BZ: Tensor) -> Tensor:
        """Return images [B, C, H, W]; what a side has over that 4 does not divide is cut off."""
        start_BCHW = self.project(latent_BZ).unflatten(1, self.start)
        height, width = self.size
        return cast(Tensor, self.maps(start_BCHW)[:, :, :height, :width])


def _doubled(width_in: int, width: int) -> tuple[nn.Module, ...]:
    return (
        nn.Upsample(scale_factor=2),
        nn.Conv2d(width_in, width, 3, 1, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.LeakyReLU(0.2),
    )


def first_generator(latent: int, width: int, image_shape: ImageShape, draw: int) -> ImageGenerator:
    """Return the generator with which the synthesis of a draw begins."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(draw, "generator"))
        return ImageGenerator(latent, width, image_shape)


def latents(batch: int, latent: int, draw: int, step: int) -> Tensor:
    """Return the latents [B, Z] of a step, standard normal, drawn on the CPU."""
    return torch.randn(batch, latent, generator=generator(draw, "latents", step))
