"""A storage in an object store: S3, Google Cloud Storage, Azure, or what speaks as they do.

An object is there whole or not at all. Each carries the SHA-256 of its content, so that what was
damaged on the way, in the store or in a node's cache is told.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from dfkd.storage import layout
from dfkd.storage.layout import Key, check_below
from dfkd.storage.lease import Lease
from dfkd.storage.node_cache import Download, node_cache
from dfkd.storage.object_client import client, told
from dfkd.storage.object_lease import ObjectLease
from dfkd.storage.storage import DAMAGED, Damaged, Entry, Storage

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore

DIGEST = "sha256"  # the attribute of an object
PAGE = 1000  # objects that a store lists at a time
BLOCK = 65536  # bytes that are read at least, where a part of an object is asked for


@dataclass(frozen=True)
class ObjectStorage(Storage):
    """Objects below a prefix of a bucket. bucket: such as "s3://bucket"."""

    bucket: str
    prefix: Key = layout.ROOT

    def __str__(self) -> str:
        return self.bucket if self.prefix == layout.ROOT else f"{self.bucket}/{self.prefix}"

    def get(self, key: Key) -> bytes:
        """Raise Damaged where the content is not what was written."""
        import obstore

        with told(self.address(key)):
            found = obstore.get(self._client(), self._name(key))
            content = bytes(found.bytes())
        self._check(key, found.attributes.get(DIGEST), hashlib.sha256(content).hexdigest())
        return content

    def open(self, key: Key) -> BinaryIO:
        """Read what is asked for, in blocks; a part of an object cannot be checked."""
        import obstore

        with told(self.address(key)):
            size = obstore.head(self._client(), self._name(key))["size"]
        return io.BufferedReader(_Parts(self, key, size), BLOCK)

    def part(self, key: Key, start: int, end: int) -> bytes:
        """Return the bytes of an object from start to end."""
        import obstore

        with told(self.address(key)):
            name = self._name(key)
            return bytes(obstore.get_range(self._client(), name, start=start, end=end))

    def put_if_absent(self, key: Key, content: bytes) -> bool:
        import obstore
        from obstore.exceptions import AlreadyExistsError

        attributes = {DIGEST: hashlib.sha256(content).hexdigest()}
        try:
            with told(self.address(key)):
                name = self._name(key)
                obstore.put(self._client(), name, content, attributes=attributes, mode="create")
        except AlreadyExistsError:
            return False
        return True

    def replace(self, key: Key, write: Callable[[Path], object]) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            half = Path(scratch) / key.name
            write(half)
            self._put_file(key, half)

    def _put_file(self, key: Key, path: Path) -> None:
        import obstore

        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        with told(self.address(key)):
            obstore.put(self._client(), self._name(key), path, attributes={DIGEST: digest})

    def list(self, folder: Key) -> list[str]:
        import obstore

        with told(self.address(folder)):
            found = obstore.list_with_delimiter(self._client(), self._folder(folder))
        objects = [meta["path"] for meta in found["objects"]]
        return sorted({Key(path).name for path in (*objects, *found["common_prefixes"])})

    def walk(self, key: Key) -> Iterator[Entry]:
        """Look for a folder only where more is asked for than a file of this name."""
        import obstore

        metas: list[ObjectMeta] = []
        if key != layout.ROOT:
            with contextlib.suppress(FileNotFoundError), told(self.address(key)):
                metas.append(obstore.head(self._client(), self._name(key)))
        yield from map(self._entry, metas)
        with told(self.address(key)):
            folder = self._folder(key)
            inside = obstore.list(self._client(), folder, chunk_size=PAGE).collect()
        yield from map(self._entry, inside)

    def _entry(self, meta: ObjectMeta) -> Entry:
        key = Key(meta["path"]).relative_to(self.prefix)
        return Entry(key, meta["size"], int(meta["last_modified"].timestamp() * 1e9))

    def delete(self, key: Key) -> None:
        """Remove records and manifests first: they say that the rest is there."""
        import obstore

        names = sorted(
            (self._name(entry.key) for entry in self.walk(key)),
            key=lambda name: not name.endswith(".json"),
        )
        with told(self.address(key)), contextlib.suppress(FileNotFoundError):
            for start in range(0, len(names), PAGE):
                obstore.delete(self._client(), names[start : start + PAGE])

    def exists(self, key: Key) -> bool:
        import obstore

        with told(self.address(key)):
            with contextlib.suppress(FileNotFoundError):
                obstore.head(self._client(), self._name(key))
                return True
            below = obstore.list(self._client(), self._folder(key), chunk_size=1)
            return next(iter(below), None) is not None

    def local(self, key: Key) -> Path:
        """Return the copy in the node's cache, fetched where the object is another one by now."""
        return node_cache().file(self._cached(key), lambda half, tag: self._fetch(key, half, tag))

    def _fetch(self, key: Key, half: Path, known_tag: str) -> Download | None:
        """Write the object to a path; None where it is still the one with this tag."""
        import obstore
        from obstore.exceptions import NotModifiedError

        digest = hashlib.sha256()
        try:
            with told(self.address(key)), half.open("wb") as file:
                options = {"if_none_match": known_tag} if known_tag else {}
                found = obstore.get(self._client(), self._name(key), options=options)  # type: ignore[arg-type]
                for block in found.stream():
                    digest.update(block)
                    file.write(block)
        except NotModifiedError:
            return None
        self._check(key, found.attributes.get(DIGEST), digest.hexdigest())
        return Download(tag=found.meta["e_tag"] or "", digest=digest.hexdigest())

    def make_here(
        self, key: Key, make: Callable[[Path], object], intact: Callable[[Path], bool]
    ) -> Path:
        return node_cache().folder(self._cached(key), make, intact)

    def cache_path(self, key: Key) -> Path:
        return node_cache().root / self._cached(key)

    def lease(self, key: Key) -> Lease:
        return ObjectLease(self.bucket, self._name(key))

    def below(self, folder: Key) -> ObjectStorage:
        check_below(folder)
        return ObjectStorage(self.bucket, self.prefix / folder)

    def check_writable(self) -> None:
        """Raise Unreachable, or ValueError for a store that puts an object over an earlier one.

        Where it does that although it is told not to, two writers could both be the first.
        """
        probe = Key(f".{uuid.uuid4().hex}")
        self.put_if_absent(probe, b"first")
        second = self.put_if_absent(probe, b"second")
        self.delete(probe)
        if second:
            raise ValueError(
                f"the object store of {self} does not know conditional puts (If-None-Match), by "
                "which processes agree on who was first: use one that does, or a shared folder"
            )

    def check_reachable(self) -> None:
        """Raise Unreachable within seconds where the bucket is not there or does not answer."""
        import obstore

        with told(str(self)):
            prefix = str(self.prefix / ".is-it-there")
            obstore.list(client(self.bucket, quick=True), prefix, chunk_size=1).collect()

    def _client(self) -> ObjectStore:
        return client(self.bucket)

    def _name(self, key: Key) -> str:
        check_below(key)
        return str(self.prefix / key)

    def _folder(self, key: Key) -> str | None:
        check_below(key)
        whole = self.prefix / key
        return None if whole == layout.ROOT else f"{whole}/"

    def _cached(self, key: Key) -> Key:
        place = hashlib.sha256(self.bucket.encode()).hexdigest()[:16]
        return Key(place) / self.prefix / key

    def _check(self, key: Key, written: str | None, found: str) -> None:
        """Raise Damaged unless the digests are the same; objects of others have none."""
        if written not in (None, found):
            raise Damaged(f"{self.address(key)} {DAMAGED}")


class _Parts(io.RawIOBase):
    """An object as a file, of which each part is read when it is asked for."""

    def __init__(self, storage: ObjectStorage, key: Key, size: int) -> None:
        self.storage, self.key, self.size, self.at = storage, key, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.size}[whence]
        self.at = start + offset
        return self.at

    def tell(self) -> int:
        return self.at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        end = min(self.at + len(buffer), self.size)
        if self.at >= end:
            return 0
        content = self.storage.part(self.key, self.at, end)
        buffer[: len(content)] = content
        self.at += len(content)
        return len(content)
