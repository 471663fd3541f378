"""Memory maps of a pool's images and the teacher's answers: a node's workers share one copy.

One is made from the pool's shards and their score files, one shard at a time in memory, and can be
made again from them: a cache, which may be deleted while nothing runs. N rows, H height, W width, C
channels.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfkd.data.pools import PoolFiles, read_shard
from dfkd.data.tasks import Task
from dfkd.identity import digest
from dfkd.scores import Scores, read_scores, score_path
from dfkd.scores.scores import score_key
from dfkd.scores.top_k import TopK
from dfkd.storage import Storage, layout
from dfkd.storage.files import is_half, whole_folder, write_json

VERSION = 1  # raised when the files in a memory map change


def memory_map_folder(
    storage: Storage, teacher_digest: str, pool: PoolFiles, task: Task, cache: TopK | None = None
) -> Path:
    """Return where the memory map lies, named by all that it is made from."""
    answers = [score_key(teacher_digest, shard, task, cache).stem for shard in pool.shards]
    return storage.local(layout.pack(digest([VERSION, pool.digest, *answers])))


def write_memory_map(
    storage: Storage, teacher_digest: str, pool: PoolFiles, task: Task, cache: TopK | None = None
) -> Path:
    """Return the memory map's folder, written where it is missing; scores must be there."""
    folder = memory_map_folder(storage, teacher_digest, pool, task, cache)
    if folder.exists():
        return folder
    scores = [score_path(storage, teacher_digest, shard, task, cache) for shard in pool.shards]
    note = {  # what it was made from, for whoever cleans up: its own name is a digest of all that
        "teacher": teacher_digest,
        "pool": pool.digest,
        "classes": task.classes,
        "shards": [shard.digest for shard in pool.shards],
        "scores": [path.name for path in scores],
        "kept": 0 if cache is None else cache.canonical(task.classes).k,
    }
    with whole_folder(folder) as half:
        _write(half, _arrays(scores, pool, task), pool.rows)
        write_json(half / layout.PACK_NOTE, note)
    return folder


def _arrays(
    scores: Sequence[Path], pool: PoolFiles, task: Task
) -> Iterator[dict[str, NDArray[np.generic]]]:
    """Yield the images and all columns of the scores, shard by shard."""
    for path, shard in zip(scores, pool.shards, strict=True):
        yield {
            "images_NHWC": read_shard(shard.path, task.image_shape)[1],
            **read_scores([path]).columns(),
        }


def _write(folder: Path, parts: Iterator[dict[str, NDArray[np.generic]]], rows: int) -> None:
    """Write an `.npy` for each name, without mapping it: a full disk is then an error.

    A process that writes to a mapped file on a full disk dies.
    """
    for index, part in enumerate(parts):
        for name, values in part.items():
            with (folder / f"{name}.npy").open("ab") as file:
                if index == 0:
                    header = {
                        "descr": np.lib.format.dtype_to_descr(values.dtype),
                        "fortran_order": False,
                    }
                    np.lib.format.write_array_header_1_0(
                        file, {**header, "shape": (rows, *values.shape[1:])}
                    )
                np.ascontiguousarray(values).tofile(file)


def open_memory_map(folder: Path) -> tuple[NDArray[np.uint8], Scores]:
    """Return images [N, H, W, C] and scores, read-only; what is not looked at is not read."""
    files = folder.glob("*.npy")
    maps = {path.stem: np.load(path, mmap_mode="r", allow_pickle=False) for path in files}
    note = (
        json.loads((folder / layout.PACK_NOTE).read_text(encoding="utf-8"))
        if "logits_NK" not in maps
        else {}
    )
    return maps.pop("images_NHWC"), Scores.of(maps, note.get("classes", 0))


def stored_note(folder: Path) -> dict[str, Any] | None:
    """Return what a memory map was made from: digests of teacher, pool and shards, and scores.

    None where the folder says nothing of it, or holds anything else than a memory map.
    """
    if not folder.is_dir() or folder.is_symlink():
        return None
    files = [*folder.glob("*"), *(folder / layout.SELECTIONS).glob("*")]
    ours = {folder / layout.PACK_NOTE, folder / layout.SELECTIONS}
    if any(path not in ours and path.suffix != ".npy" and not is_half(path.name) for path in files):
        return None
    try:
        note = json.loads((folder / layout.PACK_NOTE).read_text(encoding="utf-8"))
        return note if {"teacher", "pool", "shards", "scores"} <= note.keys() else None
    except (OSError, ValueError, AttributeError):
        return None
