"""Finds one run again: by its cell's name, by the beginning of it, or by MLflow's id."""

from dfkd.reporting.nearest import nearest
from dfkd.storage import Storage, layout
from dfkd.storage.ledger import Ledger
from dfkd.storage.outcome import Outcome
from dfkd.tracking.address import database_uri, own_database, tracking_uri_of
from dfkd.tracking.reading import Tracked

SHORTEST = 4  # characters of a name's beginning


def find_cell(name: str, storage: Storage) -> str | None:
    """Return the cell's full name, or None where no cell of the ledger begins with `name`.

    Raises ValueError where several cells begin so.
    """
    cells = _cells(storage)
    found = [cell for cell in cells if cell == name] or [
        cell for cell in cells if cell.startswith(name)
    ]
    if len(name) < SHORTEST or not found:
        return None
    if len(found) > 1:
        raise ValueError(
            f"{len(found)} cells begin with {name!r}, such as {', '.join(found[:2])}: say more"
        )
    return found[0]


def nearest_cells(name: str, storage: Storage) -> str:
    """Return the end of an error line that names the cells with the most similar names."""
    return nearest(name, _cells(storage), most=3)


def _cells(storage: Storage) -> list[str]:
    return storage.list(layout.CELLS)


def find_outcome(run: str, storage: Storage, tracking_uri: str | None) -> Outcome:
    """Return the outcome of a run from the ledger, else from MLflow.

    Raises ValueError where neither knows the run, or where it has not ended.
    """
    cell = find_cell(run, storage)
    outcome = None if cell is None else Ledger(storage).read(cell)
    if outcome is not None:
        return outcome
    uri, database = tracking_uri_of(storage, tracking_uri), own_database(storage)
    is_own = database is not None and uri == database_uri(database)
    if uri is None or (database is not None and is_own and not database.exists()):
        raise ValueError(f"there is no cell {run!r} in {storage}: {nearest_cells(run, storage)}")
    tracked = Tracked(uri)
    try:
        found = tracked.run(run)
    except ValueError as error:
        raise ValueError(f"{error}; of cells, {nearest_cells(run, storage)}") from error
    outcome = tracked.outcome(found)
    if outcome is None:
        raise ValueError(f"the run {run} has not ended, or is no cell: name the run of a cell")
    return outcome
