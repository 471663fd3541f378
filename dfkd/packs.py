"""Packs: a pool's images and the teacher's answers as memory maps. All workers of a node share one copy in its memory.

N rows, H height, W width, C channels. A pack is made from the pool's shards and their score files, one shard at a time
in memory, and can be made again from them: a cache, which may be deleted while nothing runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfkd.data.pools import PoolFiles, read_shard
from dfkd.data.tasks import Task
from dfkd.files import whole_folder, write_json
from dfkd.scores import Scores, read_scores, score_path
from dfkd.values import digest

VERSION = 1  # raised when the files in a pack change
NOTE = "pack.json"


def pack_folder(storage: Path, teacher_digest: str, pool: PoolFiles, task: Task) -> Path:
    """Where the pack lies: content-addressed."""
    answers = [score_path(storage, teacher_digest, shard, task).stem for shard in pool.shards]
    return storage / "packs" / digest([VERSION, pool.digest, *answers])


def write_pack(storage: Path, teacher_digest: str, pool: PoolFiles, task: Task) -> Path:
    """The pack's folder, whole; written unless it is there. The scores must be there."""
    folder = pack_folder(storage, teacher_digest, pool, task)
    if folder.exists():
        return folder
    with whole_folder(folder) as half:
        _write(half, _arrays(storage, teacher_digest, pool, task), pool.rows)
        write_json(half / NOTE, _note(storage, teacher_digest, pool, task))
    return folder


def _note(storage: Path, teacher_digest: str, pool: PoolFiles, task: Task) -> dict[str, Any]:
    """What the pack was made from, for whoever cleans up: its own name is a digest of all that."""
    return {
        "teacher": teacher_digest,
        "pool": pool.digest,
        "shards": [shard.digest for shard in pool.shards],
        "scores": [score_path(storage, teacher_digest, shard, task).name for shard in pool.shards],
    }


def _arrays(
    storage: Path, teacher_digest: str, pool: PoolFiles, task: Task
) -> Iterator[dict[str, NDArray[np.generic]]]:
    """Shard by shard: the images and all columns of the scores."""
    for shard in pool.shards:
        scores = read_scores([score_path(storage, teacher_digest, shard, task)])
        columns = {name: getattr(scores, name) for name in Scores.__dataclass_fields__}
        yield {"images_NHWC": read_shard(shard.path, task.image_shape)[1], **columns}


def _write(folder: Path, parts: Iterator[dict[str, NDArray[np.generic]]], rows: int) -> None:
    """One `.npy` a name. Written, not mapped: a full disk is then an error, not the end of the process."""
    for index, part in enumerate(parts):
        for name, values in part.items():
            with (folder / f"{name}.npy").open("ab") as file:
                if index == 0:
                    header = {"descr": np.lib.format.dtype_to_descr(values.dtype), "fortran_order": False}
                    np.lib.format.write_array_header_1_0(file, {**header, "shape": (rows, *values.shape[1:])})
                np.ascontiguousarray(values).tofile(file)


def open_pack(folder: Path) -> tuple[NDArray[np.uint8], Scores]:
    """(images_NHWC, scores), read-only; what is not looked at is not read."""
    names = ("images_NHWC", *Scores.__dataclass_fields__)
    maps = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in names}
    return maps.pop("images_NHWC"), Scores(**maps)
