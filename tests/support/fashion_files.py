"""Small files in the idx format of Fashion-MNIST, with random images."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dfkd.data.tasks.fashion_mnist import FashionMnist, content_of


def idx(values: NDArray[np.uint8]) -> bytes:
    return (
        bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes() + values.tobytes()
    )


def write_fashion(folder: Path, seed: int = 0, records: int = 200) -> FashionMnist:
    """Write the four files and return the task that reads them.

    They have `records` training and half as many test images.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for part, size in (("train", records), ("t10k", records // 2)):
        images_NHW = rng.integers(0, 256, (size, 28, 28), dtype=np.uint8)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(images_NHW))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(
            idx(np.arange(size, dtype=np.uint8) % 10)
        )
    return FashionMnist(path=str(folder), content=content_of(str(folder)))
