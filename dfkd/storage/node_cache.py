"""A node's own cache: files of an object store that must be mapped, and what is made of them.

All processes of a node share it. Each file is fetched once, under a lock that ends with its holder,
to a name of its own that is renamed at the end, and is used only while it has the digest that was
noted then. Where the cache grows over its limit, what was not asked for longest goes first.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from filelock import FileLock

from dfkd.storage.files import is_half, whole_folder, write_json
from dfkd.storage.layout import Key
from dfkd.storage.variables import expanded, variable

USUAL_GB = 50.0
IN_USE_S = 600.0  # what was asked for since is being opened or mapped, and stays
LOOK_EVERY_S = 10.0  # at how large the cache is
NOTE, LOCK = ".note.json", ".lock"


@dataclass(frozen=True)
class Download:
    """What was fetched. tag: by which the store knows its version. digest: SHA-256."""

    tag: str
    digest: str


def node_cache() -> NodeCache:
    """Return the cache that the environment names.

    ValueError for a size that is no number, or a folder that cannot be ours.
    """
    usual = Path(tempfile.gettempdir()) / f"dfkd-cache-{os.getuid()}"
    root = expanded(variable("DFKD_CACHE") or usual).absolute()
    text = variable("DFKD_CACHE_GB") or str(USUAL_GB)
    try:
        limit_gb = float(text)
    except ValueError:
        limit_gb = math.nan
    if not limit_gb > 0:
        raise ValueError(f"DFKD_CACHE_GB must be a number of gigabytes above 0, but got {text!r}")
    return NodeCache(root, int(limit_gb * 1e9) if math.isfinite(limit_gb) else 2**63)


@dataclass(frozen=True)
class NodeCache:
    """Files and folders below `root`, of `limit` bytes together, beside what is in use."""

    root: Path
    limit: int

    def file(self, name: Key, download: Callable[[Path, str], Download | None]) -> Path:
        """Return a file, fetched where it is not here, is damaged, or is another one by now.

        download: writes it to a path; it is given the tag of the version that is here, "" for none,
        and returns None where that still is the one.
        """
        path = self.root / name
        with self._alone(path):
            half = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
            try:
                fetched = download(half, _intact_tag(path))
                if fetched is not None:
                    os.replace(half, path)
                    write_json(_beside(path, NOTE), asdict(fetched))
            finally:
                half.unlink(missing_ok=True)
            _touch(path)
        self.make_room(only_now_and_then=True)
        return path

    def folder(
        self, name: Key, make: Callable[[Path], object], intact: Callable[[Path], bool]
    ) -> Path:
        """Return a folder, made where it is not here or not intact."""
        path = self.root / name
        with self._alone(path):
            if path.exists() and not intact(path):
                shutil.rmtree(path)
            if not path.exists():
                with whole_folder(path) as half:
                    make(half)
                write_json(_beside(path, NOTE), {})
            _touch(path)
        self.make_room(only_now_and_then=True)
        return path

    def make_room(self, only_now_and_then: bool = False) -> None:
        """Remove what was not asked for longest until the limit is kept, and what is half-written.

        What was asked for in the last ten minutes stays.
        """
        looked = self.root / "looked"
        now = time.time()
        if only_now_and_then and looked.exists() and now < looked.stat().st_mtime + LOOK_EVERY_S:
            return
        looked.touch()
        kept = sorted(self._kept(), key=lambda one: one.used)
        total = sum(one.bytes for one in kept)
        for one in kept:
            if total <= self.limit or one.used > now - IN_USE_S:
                return
            one.remove()
            total -= one.bytes

    def _kept(self) -> Iterator[_Kept]:
        """Yield all that has a note; a half-written file or folder of a killed process goes."""
        for folder, folders, files in os.walk(self.root):
            names = {*folders, *files}
            noted = {n[1 : -len(NOTE)] for n in files if n.startswith(".") and n.endswith(NOTE)}
            for name in noted:
                with contextlib.suppress(FileNotFoundError):  # another process removes it, too
                    yield _Kept.at(Path(folder) / name)
            for name in (name for name in names if is_half(name)):
                _remove_old(Path(folder) / name)
            folders[:] = [n for n in folders if n not in noted and not is_half(n)]

    @contextmanager
    def _alone(self, path: Path) -> Iterator[None]:
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.root.stat().st_uid != os.getuid():
                raise PermissionError(0, "it belongs to another user")
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(_beside(path, LOCK))
            lock.acquire()
        except OSError as error:
            raise ValueError(
                f"the node's cache {self.root} cannot be used ({error.strerror}): set DFKD_CACHE "
                "to a folder on a disk of this machine that can be written"
            ) from error
        try:
            yield
        finally:
            lock.release()


@dataclass(frozen=True)
class _Kept:
    """A file or folder of the cache. used: when it was last asked for, by the node's clock."""

    path: Path
    bytes: int
    used: float

    @classmethod
    def at(cls, path: Path) -> _Kept:
        inside = [path, *path.rglob("*")] if path.is_dir() else [path]
        size = sum(one.stat().st_size for one in inside)
        return cls(path, size, _beside(path, NOTE).stat().st_mtime)

    def remove(self) -> None:
        """Remove it, its note first: without one, what is left is fetched or made again."""
        _beside(self.path, NOTE).unlink(missing_ok=True)
        if self.path.is_dir():
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            self.path.unlink(missing_ok=True)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file; it is read once by each process, and again when it changed."""
    status = path.stat()
    return _digest_of(path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@lru_cache(maxsize=100_000)
def _digest_of(path: Path, *state: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _intact_tag(path: Path) -> str:
    """Return the tag of a file that holds what was fetched; "" where it is not here, or damaged."""
    try:
        note = json.loads(_beside(path, NOTE).read_text(encoding="utf-8"))
        return str(note["tag"]) if digest_of(path) == note["digest"] else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f".{path.name}{ending}")


def _touch(path: Path) -> None:
    """Note that a file or folder was asked for."""
    _beside(path, NOTE).touch()


def _remove_old(half: Path) -> None:
    """Remove what is half-written, unless a process is at it now."""
    with contextlib.suppress(OSError):
        if time.time() > half.stat().st_mtime + 3600:
            shutil.rmtree(half) if half.is_dir() else half.unlink()
