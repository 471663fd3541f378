"""A few images of a pool, long before all of it is imported: for a first look at what a teacher
says of them.

N images, H height, W width, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dfkd.data.images.decoding import ImageShape, Rejected, decode, fitted
from dfkd.data.importing.importing import Import
from dfkd.data.importing.shards import read_first
from dfkd.data.pools.mixture import Mixing
from dfkd.data.pools.parquet_pool import ParquetFiles
from dfkd.storage import Storage

PLACES = 8  # evenly spaced in the pool: its files are often in the order of something


def sample(
    pool: Any, image_shape: ImageShape, storage: Storage, draw: int = 0, most: int = 1000
) -> NDArray[np.uint8]:
    """images_NHWC, about `most` or fewer; of a pool that is drawn, of its first shard, which is
    kept.
    """
    if hasattr(pool, "making"):
        work = pool.making(image_shape, storage, draw)
        if isinstance(work, Mixing):
            parts = zip(pool.pools, pool.counts, strict=True)
            few = [
                sample(part, image_shape, storage, draw, -(-most * count // pool.rows))
                for part, count in parts
            ]
            return np.concatenate(few)
        places = _spaced(len(work.paths if isinstance(work, ParquetFiles) else work.keys))
        images = [
            image
            for part in places
            for image in islice(_readable(work, part), -(-most // len(places)))
        ]
        return np.stack(images) if images else np.empty((0, *image_shape), np.uint8)
    if hasattr(pool, "make_shard"):
        return read_first(pool.make_shard(0, image_shape, storage, draw).path, image_shape, most)
    shards = pool.files(image_shape, storage, draw).shards
    places = _spaced(len(shards))
    return np.concatenate(
        [read_first(shards[i].path, image_shape, -(-most // len(places))) for i in places]
    )


def _spaced(count: int) -> list[int]:
    return sorted({i * count // PLACES for i in range(PLACES)}) if count else []


def _readable(work: Import | ParquetFiles, part: int) -> Iterator[NDArray[np.uint8]]:
    """What cannot be read is left out: the import says what it is."""
    if isinstance(work, ParquetFiles):
        yield from work.readable(part)
        return
    for found in work.outside.found(part):
        try:
            content = found.read()
            if isinstance(content, Image.Image):
                yield fitted(content, work.image_shape, work.most_pixels)
            else:
                yield decode(content, work.image_shape, work.most_pixels)
        except (Rejected, OSError):
            continue
