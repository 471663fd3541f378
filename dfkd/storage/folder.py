"""A storage that is a folder, on one machine or on a disk that every node sees."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dfkd.storage.file_lease import FileLease
from dfkd.storage.files import check_writable, is_half, replace_file
from dfkd.storage.layout import Key
from dfkd.storage.lease import Lease
from dfkd.storage.storage import Storage


@dataclass(frozen=True)
class FolderStorage(Storage):
    """Files below `root`, which is made when the first of them is written."""

    root: Path

    def __str__(self) -> str:
        return str(self.root)

    def local(self, key: Key) -> Path:
        if key.is_absolute() or ".." in key.parts:
            raise ValueError(f"a name must lie below the storage, but got {str(key)!r}")
        return self.root / key

    def get(self, key: Key) -> bytes:
        return self.local(key).read_bytes()

    def open(self, key: Key) -> BinaryIO:
        return self.local(key).open("rb")

    def put_if_absent(self, key: Key, content: bytes) -> bool:
        """Link a finished file to its name: that fails where there is one."""
        path = self.local(key)
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
        replace_file(self.local(key), write)

    def list(self, folder: Key) -> list[str]:
        """Leave out what a writer has not put in place yet."""
        try:
            names = os.listdir(self.local(folder))
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(name for name in names if not is_half(name))

    def delete(self, key: Key) -> None:
        """Rename a folder first, so that it is never there in parts."""
        path = self.local(key)
        if path.is_symlink() or not path.is_dir():
            path.unlink(missing_ok=True)
            return
        half = path.with_name(f".{path.name.lstrip('.')[:80]}.{uuid.uuid4().hex}")
        with contextlib.suppress(FileNotFoundError):  # another process removes it, too
            path.rename(half)
            shutil.rmtree(half)

    def lease(self, key: Key) -> Lease:
        return FileLease(self.local(key))

    def below(self, folder: Key) -> FolderStorage:
        return FolderStorage(self.local(folder))

    def exists(self, key: Key) -> bool:
        return self.local(key).exists()

    def check_writable(self) -> None:
        check_writable(self.root)
