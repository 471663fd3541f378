"""Places are folders on this machine or below a URI, walked in the order of names and read.

They are never written to. Local folders are read with the standard library, which can spell every
name; s3, gs, hdfs, abfs with pyarrow, any other scheme with fsspec and what it needs for it.
Credentials stay where these libraries look for them: a path with one is refused, since a path is
written into logs, MLflow and reports.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, NamedTuple, Protocol, cast
from urllib.parse import parse_qs, unquote, urlsplit

import pyarrow as pa
import pyarrow.fs as pafs

from dfkd.storage.variables import expanded

# Of a URI: nothing secret
OPTIONS = {"region", "scheme", "endpoint_override", "project_id", "replication"}
BUFFER = 2**20  # bytes that are asked of an object store at a time


class Entry(NamedTuple):
    """A file, or a folder, whose name ends with "/".

    Sorted by name, files then stand in the order of their whole names.
    """

    name: bytes  # below the place, "/" between folders
    size: int = 0
    stamp: int = 0  # time of change in ns, 0 where the place does not say
    reason: str = ""  # why it cannot be read
    detail: str = ""


class Place(Protocol):
    """A folder that is read from, wherever it is."""

    def children(self, folder: bytes, met: set[tuple[int, int]]) -> list[Entry]:
        """Return what lies directly in a folder: files, and folders with "/" at the end.

        met: the folders that were listed, by device and inode; it is added to.
        """

    def open(self, name: bytes) -> IO[bytes]:
        """Open a file for reading from front to back."""


def place_of(path: str) -> Place:
    """Return the place of a path or URI. Raises ValueError in one line where there can be none."""
    check_path(path)
    if path.startswith("file://"):
        path = unquote(urlsplit(path).path)
    return Stored(path) if "://" in path else Local(str(expanded(path).resolve()))


def check_path(path: str) -> None:
    """Raise ValueError where a URI has credentials, or options that may be some.

    The line does not repeat them.
    """
    if "://" not in path:
        return
    parts = urlsplit(path)
    named = parts.username is not None and (parts.password is not None or parts.scheme == "s3")
    if named or (parts.query and not parse_qs(parts.query).keys() <= OPTIONS):
        raise ValueError(
            f"path must hold no credentials, but got some in a {parts.scheme}:// address: leave "
            "them out, and give them as your object store's library expects them (environment, "
            f"file); after ? may stand {sorted(OPTIONS)}"
        )


def walk(place: Place) -> Iterator[Entry]:
    """Yield all files, sorted by the bytes of their names.

    The entries of one folder and of those above it are in memory at a time.
    """
    met: set[tuple[int, int]] = set()
    pending = [Entry(b"")]
    while pending:
        entry = pending.pop()
        if entry.reason or not (entry.name == b"" or entry.name.endswith(b"/")):
            yield entry
            continue
        try:
            pending += sorted(place.children(entry.name, met), reverse=True)
        except OSError as error:
            yield entry._replace(reason="unreadable", detail=error.strerror or str(error))


@dataclass(frozen=True)
class Local:
    """A folder on this machine, or on one that is mounted here."""

    root: str

    def children(self, folder: bytes, met: set[tuple[int, int]]) -> list[Entry]:
        """Return what lies in a folder; links are followed, but no folder is listed twice.

        So a loop of links ends, and so does a tangle of them.
        """
        path = self._path(folder)
        status = os.stat(path)
        if (status.st_dev, status.st_ino) in met:
            return [
                Entry(
                    folder.rstrip(b"/"),
                    reason="folder met before",
                    detail="linked to in two places",
                )
            ]
        met.add((status.st_dev, status.st_ino))
        with os.scandir(path) as found:
            return [_local_entry(entry, folder) for entry in found]

    def open(self, name: bytes) -> IO[bytes]:
        return open(self._path(name), "rb")

    def _path(self, name: bytes) -> bytes:
        return os.path.join(os.fsencode(self.root), name) if name else os.fsencode(self.root)


def _local_entry(found: os.DirEntry[bytes], folder: bytes) -> Entry:
    name = folder + found.name
    try:
        status = found.stat()
    except OSError as error:  # a link to nothing or to itself
        return Entry(name, reason="unreadable", detail=error.strerror or str(error))
    if stat.S_ISDIR(status.st_mode):
        return Entry(name + b"/")
    if not stat.S_ISREG(status.st_mode):  # to open a pipe would wait for ever
        return Entry(name, reason="not a file", detail="a pipe, a socket or a device")
    return Entry(name, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class Stored:
    """A folder below a URI.

    Its file system is made where it is used: it may hold credentials, and does not travel.
    """

    uri: str

    def children(self, folder: bytes, met: set[tuple[int, int]]) -> list[Entry]:
        fs, base = _file_system(self.uri)
        path = "/".join(filter(None, (base, folder.decode().rstrip("/"))))
        found = fs.get_file_info(pafs.FileSelector(path))
        return [_stored_entry(info, folder) for info in found]

    def open(self, name: bytes) -> IO[bytes]:
        fs, base = _file_system(self.uri)
        return cast(
            IO[bytes],
            fs.open_input_stream(f"{base}/{name.decode()}", compression=None, buffer_size=BUFFER),
        )


def _stored_entry(info: Any, folder: bytes) -> Entry:
    name = folder + info.base_name.encode()
    if info.type == pafs.FileType.Directory:
        return Entry(name + b"/")
    return Entry(name, info.size or 0, info.mtime_ns or 0)


def _file_system(uri: str) -> tuple[Any, str]:
    """Return pyarrow's file system and the path in it."""
    try:
        fs, path = pafs.FileSystem.from_uri(uri)
    except pa.ArrowInvalid:  # a scheme that pyarrow does not know
        fs, path = _through_fsspec(uri)
    return fs, path.rstrip("/")


def _through_fsspec(uri: str) -> tuple[Any, str]:
    import fsspec

    scheme = uri.split("://")[0]
    try:
        fs, path = fsspec.core.url_to_fs(uri)
    except (ValueError, ImportError) as error:
        raise ValueError(
            f"path must be a folder or a URI that pyarrow or fsspec can read, but got {scheme}:// "
            f"({error})"
        ) from error
    return pafs.PyFileSystem(pafs.FSSpecHandler(fs)), path
