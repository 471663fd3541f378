"""BatchNorm layers: what a network still knows of the images that it was trained on."""

from torch import nn

KINDS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def layers_with_statistics(module: nn.Module) -> list[nn.Module]:
    """Return the BatchNorm layers of a network that have running statistics, in its order."""
    return [m for m in module.modules() if isinstance(m, KINDS) and m.running_mean is not None]
