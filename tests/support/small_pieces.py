"""Every pool and task that is listed, small enough to be made in a second, by its class."""

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from cifar_files import write_cifar
from fashion_files import write_fashion
from image_trees import write_tree
from numpy.typing import NDArray
from PIL import Image

from dfkd.data.importing.shards import ImageShape, PoolFiles, write_shard
from dfkd.data.pools import (
    Glyphs,
    ImageFolder,
    MixedPool,
    ParquetPool,
    Pool,
    TorchvisionPool,
    WebDatasetTars,
    WildGarments,
)
from dfkd.data.tasks import (
    Cifar10,
    Cifar100,
    Digits,
    FashionMnist,
    ImageNetFolder,
    LabelledFolder,
    Task,
)


def png(seed: int, size: tuple[int, int] = (20, 24)) -> bytes:
    """Return an encoded image of grey noise."""
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, size, np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def write_images(folder: Path, count: int = 30) -> Path:
    """Write so many images into three subfolders."""
    for i in range(count):
        path = folder / "abc"[i % 3] / f"{i:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(i))
    return folder


def write_tars(folder: Path, images: Path) -> Path:
    """Pack a folder of images into two tars, the first 20 into the first."""
    names = sorted(str(path.relative_to(images)) for path in images.rglob("*.png"))
    folder.mkdir(parents=True)
    for tar_name, some in (("0.tar", names[:20]), ("1.tar", names[20:])):
        with tarfile.open(folder / tar_name, "w") as tar:
            for name in some:
                tar.add(images / name, arcname=name)
    return folder


def write_parquet(folder: Path) -> Path:
    """Write a shard of raw pixels of 16x16x1 and one of encoded images."""
    rng = np.random.default_rng(0)
    raw = rng.integers(0, 256, (20, 16, 16, 1), np.uint8)
    write_shard(folder / "a.parquet", np.arange(20), raw)
    pq.write_table(pa.table({"image": [png(i) for i in range(10)]}), folder / "b.parquet")
    return folder


def small_pool(kind: type[Pool], folder: Path) -> Pool:
    """Return a pool of 16x16x1 images, 28x28x1 of garments; its files are written into `folder`."""
    if kind is Glyphs:
        return Glyphs(rows=120)
    if kind is WildGarments:
        return WildGarments(rows=120, task=write_fashion(folder))
    if kind is ImageFolder:
        return ImageFolder(path=str(write_images(folder)))
    if kind is WebDatasetTars:
        return WebDatasetTars(path=str(write_tars(folder / "tars", write_images(folder / "in"))))
    if kind is ParquetPool:
        return ParquetPool(path=str(write_parquet(folder)))
    if kind is TorchvisionPool:
        return TorchvisionPool(
            name="FakeData", arguments=(("size", 12), ("image_size", (3, 20, 20)))
        )
    if kind is MixedPool:
        pools = (Glyphs(rows=120), ImageFolder(path=str(write_images(folder))))
        return MixedPool(pools=pools, shares=(0.75, 0.25), rows=80)
    return kind.example()  # of others that is small


def small_task(kind: type[Task], folder: Path) -> Task:
    """Return a task with labels of all its classes; its files are written into `folder`."""
    if kind is Digits:
        return Digits()
    if kind is FashionMnist:
        return write_fashion(folder)
    chosen: Any = kind
    if kind in (LabelledFolder, ImageNetFolder):
        classes = tuple(f"n{i:08d}" for i in range(1000 if kind is ImageNetFolder else 4))
        for split in ("train", "val", "test"):
            write_tree(folder / split, classes, each=1, side=8, channels=3)
        task: Task = chosen(path=str(folder), image_shape=(8, 8, 3), shorter_side=8)
        return task
    if kind in (Cifar10, Cifar100):
        folder.mkdir(parents=True, exist_ok=True)
        write_cifar(folder, chosen)
        cifar: Task = chosen(path=str(folder))
        return cifar
    return kind.example()  # of others that is small


def read_all(files: PoolFiles, shape: ImageShape) -> tuple[list[int], NDArray[np.uint8]]:
    """Return the row ids and the images of all shards."""
    row_ids, images = zip(*(shard.read(shape) for shard in files.shards), strict=True)
    return np.concatenate(row_ids).tolist(), np.concatenate(images)
