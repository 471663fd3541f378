"""What a storage is: files by their keys. Whoever reads or writes results does it through this.

`layout` says which key a thing has. A folder that every node sees is one storage (`folder.py`), an
object store another one (`object_store.py`), with nothing else than the abstract members below.
"""

from __future__ import annotations

import json
import tempfile
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from dfkd.storage import layout
from dfkd.storage.layout import Key
from dfkd.storage.lease import Lease


class Unreachable(ConnectionError):
    """A storage that does not answer, or refuses; nothing is known of what lies in it."""


DAMAGED = (
    "does not hold what was written there (its digest differs): delete it, and the same command "
    "makes it again"
)


class Damaged(ValueError):
    """A file without the content that was once written to it, as its digest tells."""


@dataclass(frozen=True)
class Entry:
    """What lies in a storage. modified_ns: when it was written, in ns since 1970."""

    key: Key
    bytes: int
    modified_ns: int

    @property
    def modified(self) -> float:
        """When it was written, in seconds since 1970."""
        return self.modified_ns / 1e9


class Storage(ABC):
    """Files by key. A file is there whole or not at all, whenever a process is killed.

    Reading a key that is not there raises FileNotFoundError, a storage that does not answer
    Unreachable. A storage travels to workers by pickle, so it holds an address and no open
    connection.
    """

    @abstractmethod
    def get(self, key: Key) -> bytes:
        """Return the content of a file."""

    @abstractmethod
    def open(self, key: Key) -> BinaryIO:
        """Open a file for reading from any position, without taking all of it into memory."""

    @abstractmethod
    def put_if_absent(self, key: Key, content: bytes) -> bool:
        """Write a file unless there is one; of several writers exactly one gets True."""

    @abstractmethod
    def replace(self, key: Key, write: Callable[[Path], object]) -> None:
        """Put a file in place, over an earlier one; `write` is given a path to write it to."""

    @abstractmethod
    def list(self, folder: Key) -> list[str]:
        """Return the sorted names of what lies directly in a folder, [] where there is none."""

    @abstractmethod
    def delete(self, key: Key) -> None:
        """Remove a file, or a folder with all that is in it, if there is one."""

    @abstractmethod
    def walk(self, key: Key) -> Iterator[Entry]:
        """Yield a file, or all that lies in a folder at any depth; nothing where there is none."""

    @abstractmethod
    def local(self, key: Key) -> Path:
        """Return a path on this machine under which a file can be opened and memory-mapped.

        It is read only: what is written there need not come into the storage. Of an object store it
        is a copy in the node's cache, checked by its digest.
        """

    @abstractmethod
    def make_here(
        self, key: Key, make: Callable[[Path], object], intact: Callable[[Path], bool]
    ) -> Path:
        """Return a folder on this machine, in which `make` has put what can be made again.

        It is made where it is missing, or not `intact`. A folder that all nodes see holds it once
        for all of them; of an object store each node makes its own, in its cache.
        """

    @abstractmethod
    def cache_path(self, key: Key) -> Path:
        """Return where `make_here` puts the folder with this key."""

    @abstractmethod
    def lease(self, key: Key) -> Lease:
        """Return the lease of this name; whoever acquires it works alone."""

    @abstractmethod
    def below(self, folder: Key) -> Storage:
        """Return a storage of its own inside a folder of this one."""

    def path(self, key: Key) -> Path | None:
        """Return where it lies on a disk that every node sees; None of an object store."""
        return None

    def address(self, key: Key) -> str:
        """Return by what people find a file or folder: a path or a URI."""
        return str(self) if key == layout.ROOT else f"{self}/{key}"

    def file(self, key: Key | str) -> StoredFile:
        """Return the file with this key as a value; it need not be there yet."""
        return StoredFile(self, Key(key))

    def half_written(self) -> Iterator[Key]:
        """Yield what a killed writer has left beside the files, in layout's folders."""
        return iter(())

    @contextmanager
    def writing_folder(self, folder: Key) -> Iterator[Path]:
        """Give an empty folder on this machine, whose files are put below `folder` at the end.

        Nothing is put there after an error.
        """
        with tempfile.TemporaryDirectory() as scratch:
            yield Path(scratch)
            for path in sorted(path for path in Path(scratch).rglob("*") if path.is_file()):
                self._put_file(folder / path.relative_to(scratch).as_posix(), path)

    @contextmanager
    def growing_file(self, key: Key) -> Iterator[Path]:
        """Give a path for a file that a library opens itself and writes to as long as it runs.

        In a folder it lies in its place at once; in an object store it is put there at the end. The
        file that was there before is gone.
        """
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / key.parent.name / key.name
            path.parent.mkdir(exist_ok=True)
            try:
                yield path
            finally:
                if path.exists():
                    self._put_file(key, path)

    def _put_file(self, key: Key, path: Path) -> None:
        self.replace(key, lambda half: half.write_bytes(path.read_bytes()))

    def exists(self, key: Key) -> bool:
        """Return whether there is such a file or folder."""
        return key.name in self.list(key.parent)

    def read_json(self, key: Key) -> Any:
        """Return what `write_json` wrote. Raises ValueError in one line where a file is no JSON."""
        content = self.get(key)
        try:
            return json.loads(content)
        except ValueError as error:
            raise ValueError(
                f"{self.address(key)} must hold JSON, but is damaged ({error}): move it away, and "
                "the same command writes it anew"
            ) from error

    def write_json(self, key: Key, value: Any) -> None:
        """Put a value in place as indented JSON."""
        self.write_text(key, json.dumps(value, indent=1) + "\n")

    def write_text(self, key: Key, text: str) -> None:
        """Put a text in place, in UTF-8."""
        self.replace(key, lambda path: path.write_text(text, encoding="utf-8"))

    def check_writable(self) -> None:
        """Raise OSError or ValueError if nothing can be written here; leave nothing behind."""
        probe = Key(f".{uuid.uuid4().hex}")
        self.put_if_absent(probe, b"")
        self.delete(probe)

    def check_round_trip(self) -> None:
        """Write, read and delete; raise OSError or ValueError where that fails.

        A second writer has to be told that the first was there: records rest on that.
        """
        probe = Key(f".{uuid.uuid4().hex}")
        try:
            first, second = (self.put_if_absent(probe, by) for by in (b"first", b"second"))
            read = self.get(probe)
        finally:
            self.delete(probe)
        if (first, second, read) != (True, False, b"first"):
            raise ValueError(
                f"{self} lets a second writer put its file over the first one's: it needs hard "
                "links, or conditional puts"
            )


@dataclass(frozen=True)
class StoredFile:
    """A file of a storage as a value: it travels to other nodes, where it is the same file."""

    storage: Storage
    key: Key

    def __str__(self) -> str:
        return self.storage.address(self.key)

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.name

    @property
    def path(self) -> Path:
        """Where the file can be read on this machine; see `Storage.local`."""
        return self.storage.local(self.key)

    def exists(self) -> bool:
        """Return whether it is there."""
        return self.storage.exists(self.key)

    def open(self) -> BinaryIO:
        """Open it for reading from any position; of a large one only what is asked for is read."""
        return self.storage.open(self.key)

    def replace(self, write: Callable[[Path], object]) -> None:
        """Put it in place; `write` is given a path to write it to."""
        self.storage.replace(self.key, write)

    def entry(self) -> Entry:
        """Return its size and when it was written. FileNotFoundError where it is not there."""
        for entry in self.storage.walk(self.key):
            return entry
        raise FileNotFoundError(str(self))
