"""Small files in the binary format of CIFAR, with random images."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dfkd.data.tasks import Cifar10, Cifar100


def write_cifar(
    folder: Path, kind: type[Cifar10 | Cifar100], records: int = 200
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Write every file of the data set with `records` images.

    Returns those of the last training file and their labels.
    """
    for seed, name in enumerate((*kind.test_files, *kind.train_files)):
        rng = np.random.default_rng(seed)
        labels_N = np.arange(records) % kind.classes
        images_NHWC = rng.integers(0, 256, (records, 32, 32, 3), dtype=np.uint8)
        planes_NP = images_NHWC.transpose(0, 3, 1, 2).reshape(records, -1)
        coarse_NL = np.zeros((records, kind.label_bytes - 1), dtype=np.uint8)
        data = np.concatenate([coarse_NL, labels_N[:, None].astype(np.uint8), planes_NP], axis=1)
        data.tofile(folder / name)
    return images_NHWC, labels_N
