"""Torchvision's data sets as pools: their images, without their labels."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
from PIL import Image

from dfkd.data.images.decoding import BROKEN, MOST_PIXELS, Rejected
from dfkd.data.importing.companions import is_companion
from dfkd.data.importing.importer import Importer
from dfkd.data.importing.places import place_of, walk
from dfkd.data.importing.shards import ImageShape
from dfkd.data.importing.sources import Item, check_limits, check_pool, part_key, rows_per_shard
from dfkd.data.pools.pool import BasePool
from dfkd.identity import limit, location
from dfkd.storage import Storage, layout
from dfkd.storage.variables import expanded


@dataclass(frozen=True, kw_only=True)
class TorchvisionPool(BasePool):
    """Reads the images of `torchvision.datasets.<name>(path, **arguments)`, at the task's shape.

        TorchvisionPool(name="SVHN", arguments=(("split", "extra"),), path="folder")

    What lies at 0 of a sample is its image; the rest, its label too, is not looked at. Row ids:
    positions. Duplicates and what cannot be read are set aside, as in `ImageFolder`.
    Range: data sets that know their length and give PIL images or uint8 arrays; their files must be
    there, or ("download", True) among the arguments; "" as path for those that take none. One draw,
    0.
    Interplay: torchvision's own loader reads the files, and some of its data sets unpickle theirs
    after checking their MD5 (CIFAR): this is for the data sets that it knows, `ImageFolder` for
    files of unknown origin.
    """

    version: ClassVar[int] = 1
    name: str
    arguments: tuple[tuple[str, Any], ...] = ()
    path: str = location(default="")
    most_pixels: int = MOST_PIXELS
    most_rejected: float = limit(0.5)

    @classmethod
    def example(cls) -> Self:
        return cls(name="SVHN", arguments=(("split", "extra"),), path="folder")

    def __post_init__(self) -> None:
        check_limits(self.path or ".", self.most_pixels, self.most_rejected)
        pairs = tuple(tuple(pair) for pair in self.arguments)  # as text gives lists
        object.__setattr__(self, "arguments", pairs)

    def check(self, image_shape: ImageShape) -> None:
        """Raise ValueError in one line where torchvision cannot give this data set.

        Of one that is to be downloaded only the name is looked at: a check writes nothing.
        """
        check_pool(image_shape)
        if dict(self.arguments).get("download"):
            self._kind()
        else:
            self.data_set()

    def builder(self, image_shape: ImageShape, storage: Storage, draw: int = 0) -> Importer:
        from torchvision import __version__

        check_pool(image_shape, draw)
        content = f"{self.name} {self.arguments} {__version__} {self.path} {self._stamps()}"
        rows, most = len(self.data_set()), rows_per_shard(image_shape)
        ranges = tuple((start, min(start + most, rows)) for start in range(0, rows, most))
        return Importer(
            source=_Samples(self, ranges),
            keys=tuple(
                part_key(f"{content} {of_part}", image_shape, self.most_pixels)
                for of_part in ranges
            ),
            folder=storage.below(layout.pool(f"torchvision-{self.name.lower()}")),
            image_shape=image_shape,
            most_pixels=self.most_pixels,
            most_rejected=self.most_rejected,
        )

    def data_set(self) -> Any:
        """Return torchvision's object. ValueError in one line where its files are not there."""
        kind = self._kind()
        root = (str(expanded(self.path)),) if self.path else ()
        try:
            found = kind(*root, **dict(self.arguments))
            len(found)
        except (TypeError, ValueError, RuntimeError, OSError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(
                f"torchvision must be able to read {self.name} with {dict(self.arguments)} from "
                f"{self.path!r}, but it says: {reason}; mend path or arguments"
            ) from error
        return found

    def _kind(self) -> Any:
        from torchvision import datasets

        kind = vars(datasets).get(self.name)
        if not (isinstance(kind, type) and issubclass(kind, datasets.VisionDataset)):
            raise ValueError(
                f"name must be that of a data set in torchvision.datasets, but got {self.name!r}"
            )
        return kind

    def _stamps(self) -> str:
        """Return a digest of all files below the path: what has changed is imported anew."""
        stamps = hashlib.sha256()
        for entry in walk(place_of(self.path)) if self.path else ():
            if not is_companion(entry.name):
                stamps.update(repr(entry).encode())
        return stamps.hexdigest()


@dataclass(frozen=True)
class _Samples:
    """The data set as a source; stretches of it are the parts."""

    pool: TorchvisionPool
    ranges: tuple[tuple[int, int], ...]

    def items(self, part: int) -> Iterator[Item]:
        data_set = self.pool.data_set()
        for index in range(*self.ranges[part]):
            yield Item(str(index).encode(), index, partial(_image, data_set, index))


def _image(data_set: Any, index: int) -> Image.Image:
    try:
        sample = data_set[index]
        image = sample[0] if isinstance(sample, tuple | list) else sample
        if isinstance(image, np.ndarray) and image.dtype == np.uint8:
            image = Image.fromarray(image)
        if isinstance(image, Image.Image):
            image.load()  # a damaged file is found here
            return image
    except BROKEN as error:
        raise Rejected("truncated or damaged", f"{type(error).__name__}: {error}"[:200]) from error
    raise Rejected(
        "not an image", f"a {type(image).__name__}, neither a PIL image nor a uint8 array"
    )
