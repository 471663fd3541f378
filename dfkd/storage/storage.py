"""What a storage is: files by their keys. Whoever reads or writes results does it through this.

`layout` says which key a thing has. A folder that every node sees is one storage (`folder.py`); an
object store can be another one, with nothing else than the abstract members below.
"""

from __future__ import annotations

import json
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from dfkd.storage.layout import Key
from dfkd.storage.lease import Lease


class Storage(ABC):
    """Files by key. A file is there whole or not at all, whenever a process is killed.

    Reading a key that is not there raises FileNotFoundError. A storage travels to workers by
    pickle, so it holds an address and no open connection.
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
    def local(self, key: Key) -> Path:
        """Return a path on this machine under which a file or folder can be memory-mapped."""

    @abstractmethod
    def lease(self, key: Key) -> Lease:
        """Return the lease of this name; whoever acquires it works alone."""

    @abstractmethod
    def below(self, folder: Key) -> Storage:
        """Return a storage of its own inside a folder of this one."""

    def exists(self, key: Key) -> bool:
        """Return whether there is such a file or folder."""
        return key.name in self.list(key.parent)

    def read_json(self, key: Key) -> Any:
        """Return what `write_json` wrote. Raises ValueError where a file is no JSON."""
        return json.loads(self.get(key))

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
