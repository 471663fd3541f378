"""Image files are decoded once, into memory maps in the user's cache.

N images, H height, W width, C channels. What is not looked at is not in memory. The cache is
`$DFKD_CACHE`, else `$XDG_CACHE_HOME/dfkd`, else `~/.cache/dfkd`: N * H * W * C bytes for each
split, made again where they are deleted. Each node has its own.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dfkd.data.images.decoding import VERSION, ImageShape, Rejected, decode
from dfkd.identity import digest
from dfkd.storage.files import replace_file, write_json
from dfkd.storage.variables import expanded, variable

TOGETHER = 256  # images that are decoded before the first of them is written
T = TypeVar("T")
R = TypeVar("R")


def cache_folder() -> Path:
    """Return $DFKD_CACHE, else dfkd in $XDG_CACHE_HOME or ~/.cache, as an absolute path."""
    chosen = variable("DFKD_CACHE") or Path(variable("XDG_CACHE_HOME") or "~/.cache") / "dfkd"
    return expanded(chosen).absolute()


def remembered(key: str, find: Callable[[], Any]) -> Any:
    """Return what `find` found for this key on this machine, now or earlier, as JSON."""
    path = cache_folder() / "found" / f"{key}.json"
    with suppress(OSError, ValueError):  # not there, or damaged: it is found again
        return json.loads(path.read_text(encoding="utf-8"))
    value = find()
    with _said(path):
        write_json(path, value)
    return json.loads(path.read_text(encoding="utf-8"))


def decoded(
    files: Sequence[Path], key: str, image_shape: ImageShape, shorter_side: int
) -> NDArray[np.uint8]:
    """Return images [N, H, W, C] of these files, whose names and content `key` stands for.

    A caller may write into them, which nobody else sees. Raises ValueError in one line for a file
    that is no image, and where the cache has no room.
    """
    path = cache_folder() / "images" / f"{digest([VERSION, key, *image_shape, shorter_side])}.npy"
    if not _is_whole(path, expected := (len(files), *image_shape)):
        with _said(path), _alone(path):
            if not _is_whole(path, expected):  # another process may have been faster
                _check_room(path.parent, len(files) * int(np.prod(image_shape)))
                replace_file(path, lambda half: _write(half, files, image_shape, shorter_side))
    images_NHWC: NDArray[np.uint8] = np.load(path, mmap_mode="c", allow_pickle=False)
    # a mapped array of its own kind would travel to workers by way of a copy
    return images_NHWC.view(np.ndarray)


def side_by_side(function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """Yield the results in order, computed on all cores; some of them at a time are in memory.

    In a process that was given fewer cores, as Ray's are, on those: OMP_NUM_THREADS.
    """
    said = (variable("OMP_NUM_THREADS") or "").split(",")[0]
    cores = int(said) if said.isdigit() and int(said) else len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(cores) as threads:
        for start in range(0, len(items), TOGETHER):
            yield from threads.map(function, items[start : start + TOGETHER])


def _write(path: Path, files: Sequence[Path], image_shape: ImageShape, shorter_side: int) -> None:
    """Write without mapping: a full disk is then an error, not the end of the process."""
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(files), *image_shape)}
    with path.open("wb") as out:
        np.lib.format.write_array_header_1_0(out, header)
        for image_HWC in side_by_side(
            partial(_image, image_shape=image_shape, shorter_side=shorter_side), files
        ):
            image_HWC.tofile(out)


def _is_whole(path: Path, shape: tuple[int, ...]) -> bool:
    """Return whether a file is there and was not cut off."""
    try:
        return bool(np.load(path, mmap_mode="r", allow_pickle=False).shape == shape)
    except (OSError, ValueError, EOFError):
        return False


def _image(file: Path, image_shape: ImageShape, shorter_side: int) -> NDArray[np.uint8]:
    try:
        return decode(file.read_bytes(), image_shape, shorter_side=shorter_side)
    except (Rejected, OSError) as error:
        what = (
            ", ".join(part for part in error.args if part)
            if isinstance(error, Rejected)
            else error.strerror
        )
        raise ValueError(
            f"the image {file} cannot be read ({what}): mend it, or take it out of the folder"
        ) from error


def _check_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise ValueError(
            f"the decoded images take {size / 1e9:.1f} GB, but the cache {folder} has "
            f"{free / 1e9:.1f} GB free: make room, or name a folder on a larger disk with "
            "DFKD_CACHE"
        )


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process of this machine in at a time; the others wait for what it makes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _said(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ValueError(
            f"the cache {path.parent} cannot be written ({error.strerror}): name another folder "
            "with DFKD_CACHE"
        ) from error
