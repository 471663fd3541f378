"""Labelled sets, from which a teacher learns and by which a student is judged.

No loss reads their labels. Legend: N images, H height, W width, C channels, K classes. Images are
uint8, 0 to 255, channels last.
"""

from dfkd.data.tasks.cifar import Cifar10, Cifar100
from dfkd.data.tasks.digits import Digits
from dfkd.data.tasks.fashion_mnist import FashionMnist
from dfkd.data.tasks.folders import ImageNetFolder, LabelledFolder
from dfkd.data.tasks.task import BaseTask, NoSplit, Split, Task
from dfkd.data.tasks.unlabelled import Unlabelled

__all__ = [
    "TASKS",
    "BaseTask",
    "Cifar10",
    "Cifar100",
    "Digits",
    "FashionMnist",
    "ImageNetFolder",
    "LabelledFolder",
    "NoSplit",
    "Split",
    "Task",
    "Unlabelled",
]

TASKS: tuple[type[Task], ...] = (
    Digits,
    FashionMnist,
    Cifar10,
    Cifar100,
    LabelledFolder,
    ImageNetFolder,
    Unlabelled,
)
