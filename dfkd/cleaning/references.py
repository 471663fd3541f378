"""What the records in a storage refer to: teachers, pools and scores by digest, places by path."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dfkd.scores.memory_map import stored_note
from dfkd.storage import Storage, layout
from dfkd.storage.layout import Key
from dfkd.storage.storage import Unreachable
from dfkd.storage.variables import expanded


@dataclass(frozen=True)
class Use:
    """A teacher and a pool, by digest, that some cells use together.

    kept: how many logits of each row the cells read; 0 is all, None is not known.
    """

    teacher: str
    pool: str
    kept: int | None

    def is_of(self, note: dict[str, Any]) -> bool:
        """Return whether a memory map with this note serves these cells."""
        same = (note["teacher"], note["pool"]) == (self.teacher, self.pool)
        return same and self.kept in (None, note.get("kept", 0))


@dataclass(frozen=True)
class References:
    """All that recorded cells, studies, sweeps and retunings refer to.

    places: files and folders, absolute, that recorded cells were computed from.
    """

    storage: Storage
    uses: frozenset[Use]
    places: frozenset[Path]

    @cached_property
    def packs(self) -> dict[Key, dict[str, Any]]:
        """The notes of all memory maps; what is no memory map of ours has none."""
        keys = [layout.pack(name) for name in self.storage.list(layout.PACKS)]
        notes = {key: stored_note(self.storage.below(key)) for key in keys}
        return {key: note for key, note in notes.items() if note is not None}

    def uses_pack(self, key: Key) -> bool:
        """Return whether recorded cells use this memory map."""
        return any(use.is_of(self.packs[key]) for use in self.uses)

    @cached_property
    def shards(self) -> frozenset[str]:
        """Digests of the shards in all memory maps that are in use."""
        used = [note for key, note in self.packs.items() if self.uses_pack(key)]
        return frozenset(shard for note in used for shard in note["shards"])

    def scores(self, folder: str) -> frozenset[str] | None:
        """Return the files in use of a teacher's folder of scores.

        None where that cannot be told, since the note of a memory map in use is lost.
        """
        uses = [use for use in self.uses if layout.scores_of_teacher(use.teacher).name == folder]
        served = [[note for note in self.packs.values() if use.is_of(note)] for use in uses]
        if not all(served):
            return None
        return frozenset(name for notes in served for note in notes for name in note["scores"])

    def protects(self, path: Path) -> bool:
        """Return whether a recorded cell was computed from this place, or one in or around it."""
        path = path.resolve()
        return any(
            path.is_relative_to(place) or place.is_relative_to(path) for place in self.places
        )


def references(storage: Storage) -> References:
    """Read every record in a storage."""
    uses, places = set[Use](), set[Path]()
    for cell in _records(storage, layout.CELLS, layout.RECORD):
        tags, params = cell.get("tags", {}), cell.get("params", {})
        places |= set(_places(params))
        if {"teacher", "pool"} <= tags.keys():
            uses.add(Use(tags["teacher"], tags["pool"], int(params.get("cache.k", 0))))
    for context in _run_contexts(storage):
        uses |= {Use(pair[0], pair[1], None) for pair in context.get("digests", {}).values()}
    return References(storage, frozenset(uses), frozenset(places))


def _places(params: dict[str, Any]) -> Iterator[Path]:
    """Yield where a cell's pool, teacher and task lie, as far as that is on a disk."""
    for name, value in params.items():
        if name.endswith(".path") and isinstance(value, str) and value and "://" not in value:
            yield expanded(value).resolve()


def _run_contexts(storage: Storage) -> Iterator[dict[str, Any]]:
    """Yield what the cells of each study, sweep and retuning share."""
    for name in storage.list(layout.STUDIES):
        yield read_record(storage, layout.run_context(name))
    for folder in (layout.SWEEPS, layout.RETUNINGS):
        for name in storage.list(folder):
            for file in storage.list(folder / name):
                if layout.is_result(file):
                    yield read_record(storage, folder / name / file).get("setting", {})


def _records(storage: Storage, folder: Key, file: str) -> Iterator[dict[str, Any]]:
    for name in storage.list(folder):
        yield read_record(storage, folder / name / file)


def read_record(storage: Storage, key: Key) -> dict[str, Any]:
    """Return a record, {} where there is none or it is damaged."""
    try:
        value = storage.read_json(key)
    except Unreachable:
        raise
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
