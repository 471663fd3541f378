"""What a storage holds: its studies and sweeps, cells by state, and everything else by its size."""

import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from dfkd.cleaning.items import item
from dfkd.cleaning.references import read_record
from dfkd.reporting.console import Console
from dfkd.reporting.shell import option
from dfkd.storage import Storage, layout
from dfkd.storage.files import size
from dfkd.storage.layout import Key
from dfkd.storage.notes import Note, read_note
from dfkd.studies import record as studies
from dfkd.sweeps import record as sweeps
from dfkd.sweeps.journal import Journal

STUDY, SWEEP = "study", "sweep"
UNFINISHED = "unfinished"  # without a record: under way, stopped or failed


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A study or sweep. state: how far it has come, in words. bytes: of its own folder."""

    kind: str
    name: str
    about: str  # a study's question, a sweep's best probe
    state: str
    bytes: int
    note: Note


@dataclass(frozen=True, kw_only=True)
class Holding:
    """Things of one kind in a storage."""

    kind: str
    count: int
    bytes: int
    states: dict[str, int]


def entries(storage: Storage) -> list[Entry]:
    """Return every study and sweep of a storage."""
    states = _states(storage)
    return [*_studies(storage, states), *_sweeps(storage)]


def _studies(storage: Storage, states: dict[str, str]) -> Iterator[Entry]:
    for name in studies.recorded(storage):
        record, folder = studies.read(storage, name), layout.study(name)
        assert record is not None
        cells = record.names()
        ended = sum(states.get(cell, UNFINISHED) != UNFINISHED for cell in cells)
        failed = f", {len(record.errors)} failed" if record.errors else ""
        yield Entry(
            kind=STUDY,
            name=name,
            about=record.question,
            state=f"{ended} of {len(cells)} cells{failed}",
            bytes=item(storage, STUDY, folder, "").bytes,
            note=read_note(storage, folder),
        )


def _sweeps(storage: Storage) -> Iterator[Entry]:
    for name in sweeps.recorded(storage):
        folder = layout.sweep(name)
        trials = Journal(storage, folder).read()
        ended = sum(trial.ended for trial in trials)
        probes = [t.value for t in trials if t.state == "finished" and t.value is not None]
        confirmed = any(layout.is_result(file) for file in storage.list(folder))
        yield Entry(
            kind=SWEEP,
            name=name,
            about=f"best probe {max(probes):.3f}" if probes else "",
            state=f"{ended} trials{', confirmed' if confirmed else ''}",
            bytes=item(storage, SWEEP, folder, "").bytes,
            note=read_note(storage, folder),
        )


def _states(storage: Storage) -> dict[str, str]:
    """Return the state of each cell."""
    records = {
        name: read_record(storage, layout.cell(name) / layout.RECORD) for name in _cells(storage)
    }
    return {name: record.get("state", UNFINISHED) for name, record in records.items()}


def _cells(storage: Storage) -> list[str]:
    return storage.list(layout.CELLS)


def holdings(storage: Storage) -> list[Holding]:
    """Return all that is there by kind, with its size."""
    found = [_holding(storage, folder) for folder in layout.FOLDERS]
    database = [key for key in (layout.DATABASE, layout.ARTIFACTS) if storage.exists(key)]
    if database:
        total = sum(item(storage, "MLflow", key, "").bytes for key in database)
        found.append(Holding(kind="MLflow", count=len(database), bytes=total, states={}))
    return [holding for holding in found if holding.count]


def _holding(storage: Storage, folder: Key) -> Holding:
    names = storage.list(folder)
    states = Counter(_states(storage).values()) if folder == layout.CELLS else Counter()
    total = item(storage, folder.name, folder, "").bytes if names else 0
    return Holding(kind=folder.name, count=len(names), bytes=total, states=dict(states))


def print_listing(storage: Storage, console: Console) -> None:
    """Print what a storage holds. Raises ValueError where there is no storage."""
    if not storage.exists(layout.ROOT) and not storage.list(layout.ROOT):
        raise ValueError(f"there is no storage {storage}: name one with --storage")
    listed, held = entries(storage), holdings(storage)
    console.document.put("listing", {"entries": listed, "holdings": held})
    if listed:
        header = ["name", "kind", "state", "size", "about", "note"]
        rows = [[e.name, e.kind, e.state, size(e.bytes), e.about, _said(e.note)] for e in listed]
        console.table(f"Studies and sweeps in {storage}", header, rows, text=header[1:])
    rows = [
        [
            h.kind,
            f"{h.count:,}",
            size(h.bytes),
            ", ".join(f"{n:,} {s}" for s, n in h.states.items()),
        ]
        for h in held
    ]
    total = sum(holding.bytes for holding in held)
    console.table(
        f"{size(total)} in {storage}", ["what", "count", "size", "states"], rows, text=("states",)
    )
    where = option("storage", storage)
    if listed:
        name, kind = shlex.quote(listed[0].name), listed[0].kind
        console.line(f"what it says:  python -m platform.compare {name} {where}")
        console.line(f"to remove it:  python -m platform.clean --{kind} {name} {where}")
    console.line(f"what nothing refers to:  python -m platform.clean {where}")


def _said(note: Note) -> str:
    tags = f"[{', '.join(note.tags)}]" if note.tags else ""
    return f"{note.text} {tags}".strip()
