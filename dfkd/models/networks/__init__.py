"""Networks, described by frozen dataclasses, and `Tapped`, which reads their features."""

from dfkd.models.networks.cifar_resnet import CifarResNet
from dfkd.models.networks.cifar_vgg import CifarVGG11
from dfkd.models.networks.network import (
    BaseNetwork,
    Network,
    Tapped,
    classifier_head,
    load_weights,
    stages_of,
)
from dfkd.models.networks.small_resnet import BasicBlock, SmallResNet
from dfkd.models.networks.torchvision_classifier import Torchvision
from dfkd.models.networks.wide_resnet import WideResNet

NETWORKS: tuple[type[Network], ...] = (
    SmallResNet,
    CifarResNet,
    CifarVGG11,
    WideResNet,
    Torchvision,
)

__all__ = [
    "NETWORKS",
    "BaseNetwork",
    "BasicBlock",
    "CifarResNet",
    "CifarVGG11",
    "Network",
    "SmallResNet",
    "Tapped",
    "Torchvision",
    "WideResNet",
    "classifier_head",
    "load_weights",
    "stages_of",
]
