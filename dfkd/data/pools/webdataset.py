"""WebDataset's tars as pools, read from front to back; nothing is unpacked or unpickled."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import IO, ClassVar, Self

from dfkd.data.images.decoding import MOST_PIXELS, Rejected, check_kind
from dfkd.data.importing.companions import is_companion
from dfkd.data.importing.importer import Importer
from dfkd.data.importing.places import Entry, Place, walk
from dfkd.data.importing.samples import is_member
from dfkd.data.importing.shards import ImageShape
from dfkd.data.importing.sources import Item, check_limits, check_pool, part_key, row_id_of, shown
from dfkd.data.pools.image_folder import listable
from dfkd.data.pools.pool import BasePool
from dfkd.identity import later, limit, location
from dfkd.storage import Storage, layout

ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
LONGEST_HEADER = 2**20  # bytes of a name or of other properties
EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


@dataclass(frozen=True, kw_only=True)
class WebDatasetTars(BasePool):
    """Reads all images in the tar files below a folder, as `ImageFolder` reads the same files.

    Ids and pixels are the same as well.
    Row ids: a hash of the member's name, "./" in front of it left out. Order: by the tars' names,
    then as in the tar. Of members with the same name or bytes the first is kept;
    `unique_names=False` for tars that number theirs anew. What cannot be read is set aside as in
    `ImageFolder`; of a damaged tar what stands before the damage is read. What goes with an image
    (.json, .cls, .txt) is not opened, and pickles (.pyd, .pickle) are never unpickled.
    member: which images are taken, where a sample has several: what stands behind the first dot of
    the name, such as "input.jpg" or "jpg;png", or the name itself. "": all of them, and where
    samples have several, that is said.
    Range: path, a folder with .tar, .tar.gz, .tgz, .tar.bz2 or .tar.xz files, here or below a URI
    without credentials. One draw, 0. keep_encoded: as in `ImageFolder`.
    Source: the format of github.com/webdataset/webdataset.
    """

    version: ClassVar[int] = 1
    path: str = location()
    most_pixels: int = MOST_PIXELS
    most_rejected: float = limit(0.5)
    keep_encoded: bool = limit(False)
    unique_names: bool = True
    member: str = later("")

    @classmethod
    def example(cls) -> Self:
        return cls(path="folder")

    def __post_init__(self) -> None:
        check_limits(self.path, self.most_pixels, self.most_rejected)

    def check(self, image_shape: ImageShape) -> None:
        """Raise ValueError in one line where there is no such folder or no tar in it."""
        check_pool(image_shape)
        self._tars(listable(self.path))

    def builder(self, image_shape: ImageShape, storage: Storage, draw: int = 0) -> Importer:
        check_pool(image_shape, draw)
        place = listable(self.path)
        tars = self._tars(place)
        kind = ("" if self.unique_names else "by tar ") + (self.member and f"{self.member!r} of ")
        return Importer(
            source=_Members(place, tars, self.most_pixels, self.unique_names, self.member),
            keys=tuple(
                part_key(f"{kind}{tar!r}", image_shape, self.most_pixels, self.keep_encoded)
                for tar in tars
            ),
            folder=storage.below(
                layout.pool(f"tars-{hashlib.sha256(repr(place).encode()).hexdigest()[:16]}")
            ),
            image_shape=image_shape,
            most_pixels=self.most_pixels,
            most_rejected=self.most_rejected,
            keep_encoded=self.keep_encoded,
            by_sample=not self.member,
        )

    def _tars(self, place: Place) -> tuple[Entry, ...]:
        tars = tuple(
            entry
            for entry in walk(place)
            if entry.name.lower().decode("utf-8", "replace").endswith(ENDINGS)
            and not is_companion(entry.name)
        )
        if not tars:
            raise ValueError(
                f"a pool of tars must have files that end in {ENDINGS}, but got none in {self.path}"
            )
        return tars


@dataclass(frozen=True)
class _Members:
    """The members of tars as a source; the tars are the parts."""

    place: Place
    tars: tuple[Entry, ...]
    most_pixels: int
    unique_names: bool
    member: str

    def items(self, part: int) -> Iterator[Item]:
        entry = self.tars[part]
        told_apart = b"" if self.unique_names else entry.name + b"/"
        try:
            if entry.reason:
                raise Rejected(entry.reason, entry.detail)
            with self.place.open(entry.name) as file:
                yield from self._members(file, told_apart)
        except Rejected as why:
            yield _lost(entry.name, why)
        except (OSError, EOFError, tarfile.TarError) as error:
            yield _lost(
                entry.name,
                Rejected("truncated or damaged", f"{error}: what stands behind is not read"),
            )

    def _members(self, file: IO[bytes], told_apart: bytes) -> Iterator[Item]:
        ended: list[bool] = []
        with tarfile.open(
            fileobj=file, mode="r|*", tarinfo=_header(ended), errors="surrogateescape"
        ) as tar:
            for member in tar:
                if not member.isdir() and not is_companion(_name(member)):
                    name = told_apart + _name(member)
                    yield Item(name, row_id_of(name), partial(self._read, tar, member, name))
                tar.members = []  # type: ignore[attr-defined]  # it would remember all
        if not ended:  # tarfile takes a damaged header for the end
            raise tarfile.ReadError("no header or end where one must be")

    def _read(self, tar: tarfile.TarFile, member: tarfile.TarInfo, name: bytes) -> bytes:
        if not member.isreg():
            raise Rejected("not a file", "a link, a pipe or a device in a tar")
        if self.member and not is_member(shown(_name(member)), self.member):
            raise Rejected("another kind of file", f"not {self.member}")
        check_kind(name, member.size, self.most_pixels)
        content = tar.extractfile(member)
        assert content is not None  # only of what is no file
        try:
            return content.read()
        except tarfile.TarError as error:
            raise Rejected("truncated or damaged", str(error)) from error


def _name(member: tarfile.TarInfo) -> bytes:
    name = member.name.encode("utf-8", "surrogateescape")
    return name.removeprefix(b"./").lstrip(b"/")


def _lost(name: bytes, why: Rejected) -> Item:
    def read() -> bytes:
        raise why

    return Item(name, row_id_of(name), read)


def _header(ended: list[bool]) -> type[tarfile.TarInfo]:
    """Return a class of headers that say when the tar has come to its proper end.

    They are not read where they are longer than any real one is.
    """

    class Header(tarfile.TarInfo):
        @classmethod
        def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Header:
            try:
                header = super().frombuf(buf, encoding, errors)
            except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
                ended.append(True)
                raise
            if header.type in EXTENDED and header.size > LONGEST_HEADER:
                raise tarfile.ReadError(f"a header of {header.size:,} bytes")
            return header

    return Header
