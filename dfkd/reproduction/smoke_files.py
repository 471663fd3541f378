"""Tiny files in the formats that the tables read: noise around a colour of each class.

They show that every row runs, on any machine and without a download; no result means anything.
N images, H height, W width, C channels.
"""

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from dfkd.data.tasks import Cifar10, Cifar100

SIDE = 32


def write_cifar(folder: Path, kind: type[Cifar10 | Cifar100], records: int) -> None:
    """Write every file of the binary version, each with `records` images."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate((*kind.test_files, *kind.train_files)):
        label_N = np.arange(records) % kind.classes
        planes_NP = coloured(label_N, kind.classes, seed).transpose(0, 3, 1, 2).reshape(records, -1)
        label_bytes_NL = np.zeros((records, kind.label_bytes), dtype=np.uint8)
        label_bytes_NL[:, -1] = label_N
        np.concatenate([label_bytes_NL, planes_NP], axis=1).tofile(folder / name)


def write_fashion(folder: Path, records: int) -> None:
    """Write the four idx files, with `records` training and half as many test images."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (part, size) in enumerate((("train", records), ("t10k", records // 2))):
        label_N = np.arange(size) % 10
        images_NHW = coloured(label_N, 10, seed)[:, :28, :28, 0]
        _write_idx(folder / f"{part}-images-idx3-ubyte", images_NHW)
        _write_idx(folder / f"{part}-labels-idx1-ubyte", label_N.astype(np.uint8))


def write_parquet_pool(folder: Path, rows: int) -> None:
    """Write one shard with encoded images as structs, as ImageNet-32 is handed on."""
    folder.mkdir(parents=True, exist_ok=True)
    encoded = [{"bytes": _png(image_HWC)} for image_HWC in _pool(rows)]
    pq.write_table(pa.table({"img": encoded}), folder / "train-00000.parquet")


def write_folder_pool(folder: Path, rows: int) -> None:
    """Write a folder of image files, as one of Flickr has them."""
    _write_images(folder, _pool(rows))


def write_imagenet(folder: Path, classes: int = 1_000) -> None:
    """Write train/ and val/ with an image for each class."""
    for seed, split in enumerate(("train", "val")):
        images_NHWC = coloured(np.arange(classes), classes, seed)
        for label, image_HWC in enumerate(images_NHWC):
            _write_images(folder / split / f"n{label:08d}", [image_HWC])


def coloured(label_N: NDArray[np.int64], classes: int, seed: int) -> NDArray[np.uint8]:
    """Return images [N, H, W, C] of noise around the colours of these classes."""
    colour_KC = np.random.default_rng(0).integers(30, 226, (classes, 3))
    noise_NHWC = np.random.default_rng(seed).normal(0, 20, (len(label_N), SIDE, SIDE, 3))
    images_NHWC: NDArray[np.uint8] = (
        (colour_KC[label_N][:, None, None] + noise_NHWC).clip(0, 255).astype(np.uint8)
    )
    return images_NHWC


def _pool(rows: int) -> NDArray[np.uint8]:
    return coloured(np.arange(rows) % 37, 37, seed=99)


def _write_images(folder: Path, images: Iterable[NDArray[np.uint8]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i, image_HWC in enumerate(images):
        (folder / f"{i:05d}.png").write_bytes(_png(image_HWC))


def _png(image_HWC: NDArray[np.uint8]) -> bytes:
    written = io.BytesIO()
    Image.fromarray(image_HWC).save(written, "PNG")
    return written.getvalue()


def _write_idx(path: Path, values: NDArray[np.uint8]) -> None:
    head = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
    path.write_bytes(head + values.tobytes())
