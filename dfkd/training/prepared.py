"""Notes of what teachers and pools turned out to be, by which plans know what is in place."""

from dataclasses import asdict, dataclass
from typing import Any

from dfkd.experiment import Cell
from dfkd.identity import digest, location_of, spec
from dfkd.storage import Storage, layout
from dfkd.training.inputs import InputSource, MappedInputs, inputs_key, memory_map_of


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A teacher and a pool that were in place, by their digests, and the pool's rows.

    memory_map: its name. source: of the pool, before anything of it was read.
    """

    teacher: str
    pool: str
    rows: int
    memory_map: str
    source: str


def mapped_and_noted(cell: Cell, source: InputSource, storage: Storage) -> MappedInputs:
    """Return what the cell reads, mapped, after a note of it that takes the place of earlier ones.

    The scores must be there.
    """
    mapped = memory_map_of(source, storage)
    note = Prepared(
        teacher=source.teacher.digest,
        pool=source.pool.digest,
        rows=source.pool.rows,
        memory_map=mapped.key.name,
        source=_pool_source(cell),
    )
    storage.write_json(layout.prepared(inputs_key(cell)), asdict(note))
    return mapped


def prepared(cell: Cell, storage: Storage) -> Prepared | None:
    """Return what the cell's teacher and pool turned out to be, if their memory map is there."""
    key = layout.prepared(inputs_key(cell))
    if not storage.exists(key):
        return None
    note = Prepared(**storage.read_json(key))
    there = storage.exists(layout.pack(note.memory_map) / layout.PACK_NOTE)
    return note if there else None


def rows_when_read(cell: Cell, storage: Storage) -> int | None:
    """Return the rows of the cell's pool as it was read last, for whatever teacher."""
    keys = [layout.PREPARED / name for name in storage.list(layout.PREPARED)]
    notes: list[dict[str, Any]] = [storage.read_json(key) for key in keys]
    source = _pool_source(cell)
    return next((note["rows"] for note in notes if note["source"] == source), None)


def _pool_source(cell: Cell) -> str:
    e = cell.experiment
    return digest([spec(e.pool), location_of(e.pool), list(e.task.image_shape), cell.block.draw])
