"""A storage without a disk: all that another backend has to say, and no other file of ours."""

import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from dfkd.storage import Storage, layout
from dfkd.storage.file_lease import FileLease
from dfkd.storage.layout import Key
from dfkd.storage.lease import Lease
from dfkd.storage.storage import Entry


class MemoryStorage(Storage):
    """Files as a dict; the abstract members, and no other."""

    def __init__(self, scratch: Path, prefix: Key = layout.ROOT, files: dict | None = None) -> None:
        self.scratch, self.prefix = scratch, prefix
        self.files: dict[Key, bytes] = {} if files is None else files

    def __str__(self) -> str:
        return f"memory:/{self.prefix}"

    def get(self, key: Key) -> bytes:
        if self.prefix / key not in self.files:
            raise FileNotFoundError(key)
        return self.files[self.prefix / key]

    def open(self, key: Key) -> BinaryIO:
        return io.BytesIO(self.get(key))

    def put_if_absent(self, key: Key, content: bytes) -> bool:
        return self.files.setdefault(self.prefix / key, content) is content

    def replace(self, key: Key, write: Callable[[Path], object]) -> None:
        half = self.scratch / "half"
        write(half)
        self.files[self.prefix / key] = half.read_bytes()
        half.unlink()

    def list(self, folder: Key) -> list[str]:
        inside = [key for key in self.files if self.prefix / folder in key.parents]
        return sorted({key.relative_to(self.prefix / folder).parts[0] for key in inside})

    def walk(self, key: Key) -> Iterator[Entry]:
        for name, content in list(self.files.items()):
            if self.prefix / key in (name, *name.parents):
                yield Entry(name.relative_to(self.prefix), len(content), time.time_ns())

    def delete(self, key: Key) -> None:
        for gone in [one for one in self.files if self.prefix / key in (one, *one.parents)]:
            del self.files[gone]

    def local(self, key: Key) -> Path:
        path = self.scratch / key.name
        path.write_bytes(self.get(key))
        return path

    def cache_path(self, key: Key) -> Path:
        return self.scratch / "made" / key.name

    def make_here(
        self, key: Key, make: Callable[[Path], object], intact: Callable[[Path], bool]
    ) -> Path:
        folder = self.cache_path(key)
        if not folder.exists() or not intact(folder):
            folder.mkdir(parents=True, exist_ok=True)
            make(folder)
        return folder

    def lease(self, key: Key) -> Lease:
        return FileLease(self.scratch / key.name)

    def below(self, folder: Key) -> Storage:
        return MemoryStorage(self.scratch, self.prefix / folder, self.files)
