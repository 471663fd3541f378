"""What a teacher without its data says of images that might have been its data.

Each is one number to be made small. B images, K classes, D feature width, C channels, N
images and positions of a map together.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfkd.models.networks.batch_norm import KINDS, layers_with_statistics


def one_hot(logits_BK: Tensor, target_B: Tensor | None = None) -> Tensor:
    """Return the cross-entropy with these classes, or with the teacher's own most likely ones.

    Training images are answered with a class; noise is not.
    """
    return F.cross_entropy(logits_BK, logits_BK.argmax(1) if target_B is None else target_B)


def activation(features_BD: Tensor) -> Tensor:
    """Return minus the mean absolute feature: training images excite the last layer."""
    return -features_BD.abs().mean()


def information(logits_BK: Tensor) -> Tensor:
    """Return minus the entropy of the batch's mean answer, in nats: every class is as frequent."""
    mean_K = logits_BK.softmax(1).mean(0)
    log_K = mean_K.clamp_min(torch.finfo(mean_K.dtype).tiny).log()  # a class may never be answered
    return (mean_K * log_K).sum()


class Statistics:
    """How far the statistics of a batch are from those of the teacher's BatchNorm layers.

    The sum over layers of |m - mu| + |v - sigma^2|, two norms over channels: m and v are mean and
    variance of the batch's inputs to the layer, mu and sigma^2 the layer's running ones.
    """

    def __init__(self, teacher: nn.Module) -> None:
        """Listen to the BatchNorm layers of a teacher in eval mode; it must have some."""
        self._far: list[Tensor] = []
        for layer in layers_with_statistics(teacher):
            layer.register_forward_pre_hook(self._listen)

    def _listen(self, layer: nn.Module, inputs: tuple[Tensor]) -> None:
        assert isinstance(layer, KINDS)
        assert layer.running_mean is not None and layer.running_var is not None
        input_CN = inputs[0].transpose(0, 1).flatten(1)
        variance_C, mean_C = torch.var_mean(input_CN, dim=1, correction=0)
        far = (mean_C - layer.running_mean).norm() + (variance_C - layer.running_var).norm()
        self._far.append(far)

    def loss(self) -> Tensor:
        """Return the distance of the batch that has passed, and forget it."""
        total = torch.stack(self._far).sum()
        self._far.clear()
        return total
