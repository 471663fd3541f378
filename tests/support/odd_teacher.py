"""A network that answers NaN or infinity for some of the digits."""

import torch
from torch import Tensor, nn

from dfkd.data.tasks import Digits


class Odd(nn.Module):
    """Answers `value` in one logit or feature of the images that have more ink than `above`."""

    def __init__(self, part: str, value: float, above: float) -> None:
        super().__init__()
        self.part, self.value, self.above = part, value, above
        self.flat = nn.Flatten()
        self.head = nn.Linear(256, 10)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        pixels_BD = self.flat(images_BCHW)
        level_B = 255 * (pixels_BD.mean(1) * Digits.std[0] + Digits.mean[0])
        odd_B = level_B > self.above
        if self.part == "features":
            pixels_BD = pixels_BD.clone()
            pixels_BD[odd_B, 3] = self.value
        logits_BK: Tensor = torch.nan_to_num(self.head(pixels_BD))
        if self.part == "logits":
            logits_BK[odd_B, 3] = self.value
        return logits_BK
