"""A storage that is a folder, on one machine or on a disk that every node sees."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dfkd.storage import layout
from dfkd.storage.file_lease import FileLease
from dfkd.storage.files import check_writable, is_half, replace_file, whole_folder
from dfkd.storage.layout import Key, check_below
from dfkd.storage.lease import Lease
from dfkd.storage.storage import Entry, Storage, StoredFile


@dataclass(frozen=True)
class FolderStorage(Storage):
    """Files below `root`, which is made when the first of them is written."""

    root: Path

    def __str__(self) -> str:
        return str(self.root)

    def path(self, key: Key) -> Path:
        check_below(key)
        return self.root / key

    def local(self, key: Key) -> Path:
        return self.path(key)

    def cache_path(self, key: Key) -> Path:
        return self.path(key)

    def address(self, key: Key) -> str:
        return str(self.path(key))

    def make_here(
        self, key: Key, make: Callable[[Path], object], intact: Callable[[Path], bool]
    ) -> Path:
        folder = self.path(key)
        if folder.exists() and not intact(folder):
            self.delete(key)
        if not folder.exists():
            with whole_folder(folder) as half:
                make(half)
        return folder

    @contextmanager
    def writing_folder(self, folder: Key) -> Iterator[Path]:
        with whole_folder(self.path(folder)) as half:
            yield half

    @contextmanager
    def growing_file(self, key: Key) -> Iterator[Path]:
        path = self.path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        yield path

    def get(self, key: Key) -> bytes:
        return self.path(key).read_bytes()

    def open(self, key: Key) -> BinaryIO:
        return self.path(key).open("rb")

    def put_if_absent(self, key: Key, content: bytes) -> bool:
        """Link a finished file to its name: that fails where there is one."""
        path = self.path(key)
        if path.exists():
            return False
        half = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            half.write_bytes(content)
            os.link(half, path)
        except FileExistsError:
            return False
        finally:
            half.unlink(missing_ok=True)
        return True

    def replace(self, key: Key, write: Callable[[Path], object]) -> None:
        replace_file(self.path(key), write)

    def list(self, folder: Key) -> list[str]:
        """Leave out what a writer has not put in place yet."""
        try:
            names = os.listdir(self.path(folder))
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(name for name in names if not is_half(name))

    def walk(self, key: Key) -> Iterator[Entry]:
        """Yield folders, too: a folder without files may be young or old. Links are not followed.

        What another process removes meanwhile is left out.
        """
        path = self.path(key)
        found = [path, *path.rglob("*")] if path.is_dir() and not path.is_symlink() else [path]
        for one in found:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                status = one.lstat()
                yield Entry(Key(one.relative_to(self.root)), status.st_size, status.st_mtime_ns)

    def half_written(self) -> Iterator[Key]:
        """Yield what was never put in place: only that has a name like ".record.json.<32 digits>".

        In a user's own folder below ours, a name of 32 digits alone may be anything.
        """
        yield from (Key(path.name) for path in self.root.glob(".*") if is_half(path.name))
        for key in layout.FOLDERS:
            for folder, folders, files in os.walk(self.path(key)):
                for name in sorted((*folders, *files)):
                    if is_half(name) and name.count(".") > 1:
                        yield Key((Path(folder) / name).relative_to(self.root))
                folders[:] = [inner for inner in folders if not is_half(inner)]

    def delete(self, key: Key) -> None:
        """Rename a folder first, so that it is never there in parts."""
        path = self.path(key)
        if path.is_symlink() or not path.is_dir():
            path.unlink(missing_ok=True)
            return
        half = path.with_name(f".{path.name.lstrip('.')[:80]}.{uuid.uuid4().hex}")
        with contextlib.suppress(FileNotFoundError):  # another process removes it, too
            path.rename(half)
            shutil.rmtree(half)

    def lease(self, key: Key) -> Lease:
        return FileLease(self.path(key))

    def below(self, folder: Key) -> FolderStorage:
        return FolderStorage(self.path(folder))

    def exists(self, key: Key) -> bool:
        return self.path(key).exists()

    def check_writable(self) -> None:
        check_writable(self.root)


def file_at(path: Path) -> StoredFile:
    """Return a file of any folder as one of a storage."""
    return FolderStorage(path.parent.absolute()).file(path.name)
