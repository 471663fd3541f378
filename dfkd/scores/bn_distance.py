"""How far each row's activations are from the teacher's BatchNorm statistics.

That is what the teacher still knows of its training data beside its answers. N rows, B batch, C
channels, P positions of a map, L BatchNorm layers.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dfkd.data.images.transforms import to_tensor
from dfkd.data.pools.pool_images import PoolImages, in_batches
from dfkd.data.tasks import Task
from dfkd.models.networks import Network
from dfkd.models.networks.batch_norm import KINDS, layers_with_statistics
from dfkd.models.teachers import TrainedNetwork
from dfkd.scores.scorer import BATCH

BN_DISTANCES = "bn_distance-1.npy"  # the file; its number is raised when the meaning changes


def bn_distances(
    teacher: TrainedNetwork, images_NHWC: PoolImages, task: Task, device: str
) -> NDArray[np.float32]:
    """Return each row's distance [N] to the running statistics, by a pass of the teacher over all.

    The mean over layers of the mean over channels of ((m - mu)^2 + (s - sigma)^2) / sigma^2: m and
    s are mean and deviation of the row's inputs to the layer over its positions, mu and sigma the
    layer's running ones. A layer of one position, behind which there is no s, has the first term.
    ValueError in one line for a teacher without running statistics.
    """
    module = teacher.build(task).to(device).eval()
    layers = _layers(module, teacher.network)
    found: list[Tensor] = []  # [B] of each layer, for one batch
    hooks = [
        layer.register_forward_pre_hook(lambda layer, inputs: found.append(_far(layer, inputs[0])))
        for layer in layers
    ]
    parts = []
    with torch.inference_mode():
        for images_BHWC in in_batches(images_NHWC, np.arange(len(images_NHWC)), BATCH):
            found.clear()
            module(to_tensor(images_BHWC, task, device))
            parts.append(torch.stack(found).mean(dim=0).float().cpu().numpy())
    for hook in hooks:
        hook.remove()
    return np.concatenate(parts)


def check_has_statistics(network: Network, task: Task) -> None:
    """Raise ValueError in one line for a network without BatchNorm statistics. Trains nothing."""
    _layers(network.build(task.classes, task.image_shape[2]), network)


def _layers(module: nn.Module, network: Network) -> list[nn.Module]:
    layers = layers_with_statistics(module)
    if not layers:
        raise ValueError(
            "this selection compares rows with the teacher's BatchNorm statistics, but "
            f"{type(network).__name__} of this teacher has none: choose another rule"
        )
    return layers


def _far(layer: nn.Module, inputs: Tensor) -> Tensor:
    """Return the distances [B] of a layer's inputs [B, C, ...]."""
    assert isinstance(layer, KINDS) and layer.running_mean is not None
    assert layer.running_var is not None
    mean_C, variance_C = layer.running_mean, layer.running_var + layer.eps
    input_BCP = inputs.flatten(2) if inputs.dim() > 2 else inputs[:, :, None]
    far_BC = (input_BCP.mean(dim=2) - mean_C).square()
    if input_BCP.shape[2] > 1:
        deviation_BC = input_BCP.var(dim=2, correction=0).sqrt()
        far_BC = far_BC + (deviation_BC - variance_C.sqrt()).square()
    return (far_BC / variance_C).mean(dim=1)
