"""Cleaning: what lies in a storage without anything referring to it, how large it is, and what it
costs to have again.

What refers: the records of cells and the settings of studies and sweeps, each to a teacher and a
pool by their digests, and packs, whose notes name the pool's shards and the files of scores. Where
that cannot be told, a thing is kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError
from safetensors.torch import load_file

from dfkd.identity import digest
from dfkd.models.teachers import weights_digest
from dfkd.storage import layout
from dfkd.storage.file_lease import FileLease
from dfkd.storage.ledger import FINAL

COSTS = {  # what it takes to have it again, by kind
    "pack": "a copy of pool and scores",
    "scores": "the teacher looks at those images again",
    "pool": "drawn again, or read again from where it was imported",
    "teacher": "trained again",
    "checkpoint": "nothing: its cell is finished",
    "half-written": "nothing: no one can read it",
    "scratch": "nothing: a run that has ended left it",
    "lease": "nothing: its holder is gone",
}
ALWAYS = ("checkpoint", "lease")  # kinds that no running process can need
FOLDERS = (
    "cells",
    "exports",
    "inspections",
    "packs",
    "pools",
    "reports",
    "scores",
    "studies",
    "sweeps",
    "teachers",
)
ASK_EVERY_S = 1.0
HALF = re.compile(r"\.(.+\.)?[0-9a-f]{32}")  # as files.py names what is not yet in place
NOBODY = "no recorded cell uses it"


@dataclass(frozen=True, kw_only=True)
class Item:
    """Something that may go. why: nothing refers to it."""

    kind: str
    path: Path
    bytes: int
    touched: float  # when something in it was last written, in seconds since 1970
    why: str


@dataclass(frozen=True)
class Use:
    """A teacher and a pool that were used together, by their digests. kept: of the logits; 0 is
    all, None unknown.
    """

    teacher: str
    pool: str
    kept: int | None

    def is_of(self, note: dict[str, Any]) -> bool:
        """Whether a pack with this note served it."""
        same = (note.get("teacher"), note.get("pool")) == (self.teacher, self.pool)
        return same and self.kept in (None, note.get("kept", 0))


@dataclass(frozen=True)
class References:
    """What the records in a storage refer to."""

    storage: Path
    uses: frozenset[Use]

    @cached_property
    def notes(self) -> dict[Path, dict[str, Any]]:
        """What each pack says of itself; one of an earlier version says nothing."""
        folders = [
            path
            for path in self.storage.glob("packs/*")
            if path.is_dir() and not HALF.fullmatch(path.name)
        ]
        return {folder: _read_json(folder / layout.PACK_NOTE) for folder in folders}

    def uses_pack(self, folder: Path) -> bool:
        return any(use.is_of(self.notes[folder]) for use in self.uses)

    @cached_property
    def shards(self) -> frozenset[str]:
        """Digests of shards in packs that are in use."""
        used = [note for folder, note in self.notes.items() if self.uses_pack(folder)]
        return frozenset(shard for note in used for shard in note["shards"])

    def scores(self, teacher: str) -> frozenset[str] | None:
        """Names of the score files in use of the teacher whose digest begins so; None where some
        cannot be told.
        """
        uses = [use for use in self.uses if use.teacher.startswith(teacher)]
        served = [[note for note in self.notes.values() if use.is_of(note)] for use in uses]
        if not all(served):
            return None
        return frozenset(name for notes in served for note in notes for name in note["scores"])


def references(storage: Path) -> References:
    """From every cell, study and sweep."""
    cells = [_read_json(path) for path in storage.glob("cells/*/record.json")]
    settings = [_read_json(path) for path in storage.glob("studies/*/setting.json")]
    settings += [
        _read_json(path).get("setting", {}) for path in storage.glob("sweeps/*/result-*.json")
    ]
    uses = {
        Use(cell["tags"]["teacher"], cell["tags"]["pool"], int(cell["params"].get("cache.k", 0)))
        for cell in cells
        if {"teacher", "pool"} <= cell.get("tags", {}).keys()
    }
    uses |= {
        Use(pair[0], pair[1], None)
        for setting in settings
        for pair in setting.get("digests", {}).values()
    }
    return References(storage, frozenset(uses))


def users(storage: Path) -> list[str]:
    """Who works in this storage now, as one word or two each. It is looked at once: ask again
    before each removal.
    """
    drivers = ["a command" for path in storage.glob(f"{layout.IN_USE}*") if _held(path)]
    cells = storage.glob(str(layout.cell("*") / layout.LEASE))
    return drivers + [f"cell {path.parent.name}" for path in cells if _held(path)]


def _held(path: Path) -> bool:
    return FileLease(path).holder() is not None


def unreferenced(storage: Path, older_than_s: float) -> list[Item]:
    """Everything that may go and was not touched for so long; while someone works there, only what
    no one can need.

    Links and what lies outside the storage are left alone.
    """
    known, busy, mapped = references(storage), bool(users(storage)), _mapped()
    scores = list(_scores(known))
    found = [
        *_packs(known),
        *scores,
        *_pools(known, scores),
        *_teachers(known, scores),
        *_leftovers(storage),
    ]
    newest = time.time() - older_than_s
    return [
        item
        for item in found
        if _inside(item.path, storage)
        and item.touched <= newest
        and not (busy and item.kind not in ALWAYS)
        and not any(_inside(path, item.path) for path in mapped)
    ]


def remove(items: Iterable[Item], storage: Path) -> int:
    """The bytes that are free now.

    A folder is renamed first, so that none is ever there in parts.
    """
    freed, asked = 0, 0.0
    for item in sorted(items, key=lambda item: item.kind not in ALWAYS):
        if item.kind not in ALWAYS and time.monotonic() > asked + ASK_EVERY_S:
            if users(storage):
                return freed  # someone has begun to work here
            asked = time.monotonic()
        if item.kind == "lease" and _held(item.path):
            continue
        _remove(item.path)
        if item.path.parent != storage:
            with contextlib.suppress(OSError):  # there is more in it
                item.path.parent.rmdir()
        freed += item.bytes
    return freed


def _remove(path: Path) -> None:
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    gone = path.with_name(f".{path.name.lstrip('.')[:80]}.{uuid.uuid4().hex}")
    path.rename(gone)
    shutil.rmtree(gone)


def _packs(known: References) -> Iterator[Item]:
    for folder, note in known.notes.items():
        if not known.uses_pack(folder):
            yield _item(
                "pack",
                folder,
                NOBODY if note else "an earlier version made it, and does not say from what",
            )


def _scores(known: References) -> Iterator[Item]:
    teachers = {use.teacher for use in known.uses}
    for folder in known.storage.glob("scores/*"):
        used = known.scores(folder.name)
        if used is None:
            continue
        of_pool = any(teacher.startswith(folder.name) for teacher in teachers)
        why = (
            "of a pool that no recorded cell uses"
            if of_pool
            else "of a teacher that no recorded cell uses"
        )
        items = [
            _item("scores", path, why) for path in folder.glob("*.parquet") if path.name not in used
        ]
        yield from _as_young_as(items, items)  # a pool is scored for hours, and is of one piece


def _as_young_as(items: Iterable[Item], others: Iterable[Item]) -> list[Item]:
    """These items, as if they had been touched whenever one of the others was."""
    newest = max((other.touched for other in others), default=0.0)
    return [replace(item, touched=max(item.touched, newest)) for item in items]


def _pools(known: References, scores: Iterable[Item]) -> list[Item]:
    """While scores that no cell uses yet are new, any pool may be theirs."""
    return _as_young_as(_unused_pools(known), scores)


def _unused_pools(known: References) -> Iterator[Item]:
    pools = {use.pool for use in known.uses}
    for folder in known.storage.glob("pools/*"):
        if folder.is_dir() and not HALF.fullmatch(folder.name):
            shards = [
                found for path in sorted(folder.glob("*.parquet")) if (found := _shard_digest(path))
            ]
            if not (
                known.shards & set(shards) or pools & {*_digests(folder), _pool_digest(shards)}
            ):
                yield _item("pool", folder, NOBODY)


def _digests(folder: Path) -> Iterator[str]:
    """Of the pools that a folder's manifests list."""
    for path in folder.glob("*.json"):
        yield _pool_digest([shard["digest"] for shard in _read_json(path).get("shards", [])])


def _pool_digest(shards: Iterable[str]) -> str:
    """As `PoolFiles.digest`."""
    return hashlib.sha256("".join(shards).encode()).hexdigest()


def _shard_digest(path: Path) -> str | None:
    try:
        found: bytes | None = (pq.read_schema(path).metadata or {}).get(b"digest")
    except (pa.ArrowInvalid, OSError):
        return None
    return None if found is None else found.decode()


def _teachers(known: References, scores: Iterable[Item]) -> Iterator[Item]:
    """One whose scores are new is about to be used."""
    teachers = {use.teacher for use in known.uses}
    for folder in known.storage.glob("teachers/*"):
        if not folder.is_dir() or HALF.fullmatch(folder.name):
            continue
        found = _teacher_digest(folder)
        if found not in teachers:
            own = [
                item
                for item in scores
                if found is not None and found.startswith(item.path.parent.name)
            ]
            yield from _as_young_as([_item("teacher", folder, NOBODY)], own)


def _teacher_digest(folder: Path) -> str | None:
    """As `TrainedNetwork.digest`; None for one that was never finished."""
    network = _read_json(folder / "teacher.json").get("teacher", {}).get("network")
    try:
        return digest([network, weights_digest(load_file(folder / "teacher.safetensors"))], 64)
    except (OSError, SafetensorError):
        return None


def _leftovers(storage: Path) -> Iterator[Item]:
    for path in storage.glob("cells/*/checkpoint.pt"):
        if _read_json(path.parent / "record.json").get("state") in FINAL:
            yield _item("checkpoint", path, "its cell is finished")
    for path in (*storage.glob("cells/*/lease"), *storage.glob(f"{layout.IN_USE}*")):
        if not _held(path):
            yield _item("lease", path, "its holder is gone")
    for path in (*storage.glob("tune/*"), *storage.glob("train/*")):
        yield _item("scratch", path, "Ray's own notes of a run that has ended")
    for path in _half_written(storage):
        yield _item("half-written", path, "its writer was stopped")


def _half_written(storage: Path) -> Iterator[Path]:
    """Directly in the storage, and anywhere in the folders that are ours."""
    yield from (path for path in storage.glob(".*") if HALF.fullmatch(path.name))
    for name in FOLDERS:
        for folder, folders, files in os.walk(storage / name):
            yield from (Path(folder) / half for half in (*folders, *files) if HALF.fullmatch(half))
            folders[:] = [inner for inner in folders if not HALF.fullmatch(inner)]


def _item(kind: str, path: Path, why: str) -> Item:
    stats = [one.lstat() for one in (path, *(path.rglob("*") if path.is_dir() else ()))]
    size = sum(stat.st_size for stat in stats) if path.is_dir() else stats[0].st_size
    return Item(
        kind=kind, path=path, bytes=size, touched=max(stat.st_mtime for stat in stats), why=why
    )


def _inside(path: Path, folder: Path) -> bool:
    return not path.is_symlink() and path.resolve().is_relative_to(folder.resolve())


def _mapped() -> set[Path]:
    """Files that processes of this machine have mapped into their memory, such as a notebook that
    opened a pack.
    """
    found = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):  # another user's, or gone
            found |= {
                line.split(maxsplit=5)[5]
                for line in maps.read_text().splitlines()
                if line.endswith(".npy")
            }
    return {Path(name) for name in found}


def _read_json(path: Path) -> dict[str, Any]:
    """What is there; nothing where nothing can be read."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
