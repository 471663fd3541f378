"""Pools: unlabelled images from which a student is distilled.

A pool is a folder of Parquet shards (`shards.py` has the format and a writer). Anything with `files` and a
`version` is a pool; yours needs no base class.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import pyarrow.parquet as pq

from dfkd.data.garments import WildGarments
from dfkd.data.glyphs import Glyphs
from dfkd.data.image_folder import ImageFolder
from dfkd.data.importing import check_pool
from dfkd.data.mixture import MixedPool
from dfkd.data.original import TrainingImages
from dfkd.data.shards import (
    ImageShape,
    PoolFiles,
    Shard,
    check_columns,
    decode_first,
    has_row_ids,
    read_characters,
    read_row_ids,
    read_shard,
)
from dfkd.data.torchvision_pool import TorchvisionPool
from dfkd.data.webdataset import WebDatasetTars
from dfkd.files import write_json
from dfkd.values import location

__all__ = [
    "POOLS", "Glyphs", "ImageFolder", "MixedPool", "ParquetPool", "Pool", "PoolFiles", "Shard",
    "TorchvisionPool", "TrainingImages", "WebDatasetTars", "WildGarments", "read_characters", "read_shard",
]  # fmt: skip


class Pool(Protocol):
    """Frozen, so that an experiment can hold it."""

    version: ClassVar[int]  # raised when the same fields begin to give other images

    def files(self, image_shape: ImageShape, storage: Path, draw: int = 0) -> PoolFiles:
        """The shards for images of (H, W, C), made in `storage` where need be; a second call writes nothing.

        `draw` names one of several independent pools of the same kind, for blocks that vary the pool as well.
        """


@dataclass(frozen=True, kw_only=True)
class ParquetPool:
    """Your own folder of Parquet shards, read where it lies and never written to.

    Columns: `image`, raw uint8 pixels of the task's shape or encoded images (converted and resized, bilinear);
    if you like `row_id`, int64 and unique in the pool; without it rows are numbered by file name and position.
    Digest: of each file's bytes, computed once and remembered in the storage by name, size and time of change.
    Range: a folder that every node can read, with the files directly in it. It has one draw, 0.
    Interplay: a folder's name says nothing about its images; the digest is the identity, not the path.
    """

    version: ClassVar[int] = 1
    path: str = location()

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError(f"path must name a folder of Parquet shards, but got {self.path=}")

    def files(self, image_shape: ImageShape, storage: Path, draw: int = 0) -> PoolFiles:
        check_pool(image_shape, draw)
        paths = _shard_paths(Path(self.path).expanduser().resolve())
        for path in paths:
            check_columns(path, image_shape)
        memory = storage / "pools" / f"parquet-{_sha256(str(paths[0].parent))[:16]}.json"
        entries = _remembered(memory, paths)
        shards = [
            Shard(p, _digest(p, entries[p.name]["bytes_digest"], image_shape), entries[p.name]["rows"]) for p in paths
        ]
        return PoolFiles(tuple(shards))


POOLS: tuple[type[Pool], ...] = (
    Glyphs,
    WildGarments,
    ImageFolder,
    WebDatasetTars,
    ParquetPool,
    TorchvisionPool,
    MixedPool,
    TrainingImages,
)


def _shard_paths(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ValueError(f"path must be a folder of Parquet shards, but got {folder}, which is not a folder; mend path")
    paths = sorted(path for path in folder.glob("*.parquet") if path.is_file())
    if paths:
        return paths
    found = sorted(path.name for path in folder.iterdir())
    what = f"{len(found)} other entries, such as {found[0]!r}" if found else "nothing"
    raise ValueError(
        f"a pool must have *.parquet files directly in its folder, but got {what} in {folder}; "
        "write the images there as Parquet, or name the folder that has the shards"
    )


def _remembered(memory: Path, paths: list[Path]) -> dict[str, dict[str, Any]]:
    """What is known of each file by its name; a file that is new or has changed is checked and hashed."""
    known: dict[str, dict[str, Any]] = json.loads(memory.read_text()) if memory.is_file() else {}
    stamps = {path: _stamp(path) for path in paths}
    changed = [path for path in paths if known.get(path.name, {}).get("stamp") != stamps[path]]
    if not changed and len(known) == len(paths):
        return known
    _check_rows(paths, changed)
    fresh = {path.name: _described(path, stamps[path]) for path in changed}
    entries = {path.name: fresh.get(path.name) or known[path.name] for path in paths}
    write_json(memory, entries)
    return entries


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _described(path: Path, stamp: list[int]) -> dict[str, Any]:
    with path.open("rb") as file:
        bytes_digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"stamp": stamp, "rows": pq.read_metadata(path).num_rows, "bytes_digest": bytes_digest}


def _check_rows(paths: list[Path], changed: list[Path]) -> None:
    """Row ids across all files, but one image of each changed file: decoding all is left to their reader."""
    for path in changed:
        decode_first(path)
    parts = [read_row_ids(path) for path in paths]
    row_id_N = np.concatenate(parts)
    if not len(row_id_N):
        raise ValueError(f"a pool must have rows, but got {len(paths)} empty shards in {paths[0].parent}; fill them")
    _, first = np.unique(row_id_N, return_index=True)
    if len(first) < len(row_id_N):
        repeated = int(np.setdiff1d(np.arange(len(row_id_N)), first)[0])
        shard = paths[int(np.searchsorted(np.cumsum([len(part) for part in parts]), repeated, side="right"))]
        raise ValueError(
            f"row_id must be unique in the pool, but got {len(row_id_N) - len(first)} repeated, such as "
            f"{row_id_N[repeated]} in {shard}; number the rows anew, or leave the column out"
        )


def _digest(path: Path, bytes_digest: str, image_shape: ImageShape) -> str:
    """The same bytes are other images at another size, and other rows where ids come from the file's name."""
    numbered_by = "row_id" if has_row_ids(path) else path.name
    return _sha256(f"{bytes_digest} {image_shape} {numbered_by}")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
