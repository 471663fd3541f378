"""Memory maps of a pool's images and the teacher's answers: a node's workers share one copy.

Images of a pool that is large stay in its shards, from which each cell gathers its own rows.

One is made from the pool's shards and their score files, one shard at a time in memory, and can be
made again from them: a cache, which may be deleted while nothing runs. N rows, H height, W width, C
channels.
"""

import json
from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfkd.data.pools import PoolFiles
from dfkd.data.pools.pool_images import PoolImages, ShardImages
from dfkd.data.tasks import Task
from dfkd.identity import digest
from dfkd.scores import Scores, read_scores, score_path
from dfkd.scores.scores import score_key
from dfkd.scores.top_k import TopK
from dfkd.storage import Storage, layout
from dfkd.storage.files import write_json
from dfkd.storage.layout import Key
from dfkd.storage.node_cache import digest_of

VERSION = 1  # raised when the files in a memory map change
MOST_MAPPED = 2 * 10**9  # bytes of images that are copied beside the scores


def maps_images(rows: int, pixels: int) -> bool:
    """Return whether a memory map has the images too. pixels: bytes of one.

    It is where they are read, not what they are, so no key depends on it.
    """
    return rows * pixels <= MOST_MAPPED


def memory_map_key(
    teacher_digest: str, pool: PoolFiles, task: Task, cache: TopK | None = None
) -> Key:
    """Return the key of the memory map, named by all that it is made from."""
    answers = [score_key(teacher_digest, shard, task, cache).stem for shard in pool.shards]
    return layout.pack(digest([VERSION, pool.digest, *answers]))


def write_memory_map(
    storage: Storage, teacher_digest: str, pool: PoolFiles, task: Task, cache: TopK | None = None
) -> Path:
    """Return the memory map's folder, written where it is missing; scores must be there.

    The storage gets its note, also where the arrays lie in the node's cache: it tells whoever
    cleans up which scores are in use.
    """
    key = memory_map_key(teacher_digest, pool, task, cache)
    folder = memory_map_here(key, storage, teacher_digest, pool, task, cache)
    if storage.path(key) is None:
        storage.put_if_absent(key / layout.PACK_NOTE, (folder / layout.PACK_NOTE).read_bytes())
    return folder


def memory_map_here(
    key: Key,
    storage: Storage,
    teacher_digest: str,
    pool: PoolFiles,
    task: Task,
    cache: TopK | None = None,
) -> Path:
    """Return the memory map's folder on this machine, made where it is missing or damaged.

    key: as from `memory_map_key`, which looks at every shard.
    """

    def make(half: Path) -> None:
        scores = [score_path(storage, teacher_digest, shard, task, cache) for shard in pool.shards]
        _write(half, _arrays(scores, pool, task), pool.rows)
        note = {  # what it was made from, for whoever cleans up: its own name is a digest of that
            "teacher": teacher_digest,
            "pool": pool.digest,
            "classes": task.classes,
            "shards": [shard.digest for shard in pool.shards],
            "scores": [path.name for path in scores],
            "kept": 0 if cache is None else cache.canonical(task.classes).k,
            "files": {path.name: digest_of(path) for path in sorted(half.glob("*.npy"))},
        }
        write_json(half / layout.PACK_NOTE, note)

    return storage.make_here(key, make, _is_intact)


def _is_intact(folder: Path) -> bool:
    """Return whether the arrays are as they were written; each process reads them once for that.

    Memory maps of earlier versions do not say.
    """
    note = folder / layout.PACK_NOTE
    if not note.exists():
        return True
    try:
        files = json.loads(note.read_text(encoding="utf-8")).get("files", {})
        return all(digest_of(folder / name) == written for name, written in files.items())
    except (OSError, ValueError, AttributeError):
        return False


def _arrays(
    scores: Sequence[Path], pool: PoolFiles, task: Task
) -> Iterator[dict[str, NDArray[np.generic]]]:
    """Yield all columns of the scores, and the images where they are mapped, shard by shard."""
    mapped = maps_images(pool.rows, prod(task.image_shape))
    for path, shard in zip(scores, pool.shards, strict=True):
        images = {"images_NHWC": shard.read(task.image_shape)[1]} if mapped else {}
        yield {**images, **read_scores([path]).columns()}


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


def open_memory_map(folder: Path, pool: PoolFiles, task: Task) -> tuple[PoolImages, Scores]:
    """Return images [N, H, W, C] and scores, read-only; what is not looked at is not read."""
    files = folder.glob("*.npy")
    maps = {path.stem: np.load(path, mmap_mode="r", allow_pickle=False) for path in files}
    note = (
        json.loads((folder / layout.PACK_NOTE).read_text(encoding="utf-8"))
        if "logits_NK" not in maps
        else {}
    )
    images = maps.pop("images_NHWC", None)
    scores = Scores.of(maps, note.get("classes", 0))
    return ShardImages(pool, task.image_shape) if images is None else images, scores


def stored_note(folder: Storage) -> dict[str, Any] | None:
    """Return what a memory map was made from: digests of teacher, pool and shards, and scores.

    None where the folder says nothing of it, or holds anything else than a memory map.
    """
    ours = {layout.PACK_NOTE, layout.SELECTIONS}
    names = [*folder.list(layout.ROOT), *folder.list(Key(layout.SELECTIONS))]
    if any(name not in ours and not name.endswith(".npy") for name in names):
        return None
    try:
        note = folder.read_json(Key(layout.PACK_NOTE))
        return note if {"teacher", "pool", "shards", "scores"} <= note.keys() else None
    except (FileNotFoundError, NotADirectoryError, ValueError, AttributeError):
        return None
