"""Files that are there whole or not at all, so that a process can be killed at any time."""

import contextlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HALF = re.compile(r"\.(.+\.)?[0-9a-f]{32}")  # names of what is being written


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` write a file beside `path`, then rename it: no reader ever sees a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Give a folder to write into, which becomes `folder` at the end, or is gone after an error.

    A folder that has come to be there in the meantime stays: another process was faster.
    """
    missing = [path for path in folder.parents if not path.exists()]
    half = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    half.mkdir(parents=True)
    try:
        yield half
        if not folder.is_dir() or not any(folder.iterdir()):
            half.rename(folder)
    finally:
        shutil.rmtree(half, ignore_errors=True)
        for path in missing:
            with contextlib.suppress(OSError):  # there is something in it
                path.rmdir()


def is_half(name: str) -> bool:
    """Return whether a file or folder of this name was never put in place."""
    return HALF.fullmatch(name) is not None


def write_json(path: Path, value: Any) -> None:
    """Put a value in place as indented JSON."""
    replace_file(
        path, lambda half: half.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    )


def check_writable(folder: Path) -> None:
    """Raise ValueError in one line if nothing can be written below this folder.

    Nothing is left behind, not even the folder where it was not there.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    probe = folder / f".{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ValueError(
            f"the storage folder {folder} cannot be written ({error.strerror}): name another one "
            "with --storage"
        ) from error
    finally:
        for path in missing:
            with contextlib.suppress(OSError):  # never made, or another process writes there
                path.rmdir()


def size(count: float) -> str:
    """Return a number of bytes as people read it: "850 bytes", "77 MB", "5.1 GB"."""
    unit = "bytes"
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if count < 999.5 or unit == "TB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "bytes" or count >= 9.95 else f"{count:.1f} {unit}"
