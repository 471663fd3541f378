"""One run: found again by its cell's name, by the beginning of it, or by MLflow's id, and shown."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from dfkd.experiment import Cell
from dfkd.experiment.rebuild import modules_of
from dfkd.reporting.console import Console
from dfkd.seeding import Block
from dfkd.storage.ledger import Ledger, Outcome
from dfkd.studies.record import read, recorded
from dfkd.studies.tables import changed_lines
from dfkd.tracking import Tracker
from dfkd.tracking.reading import Tracked

SHORTEST = 4  # characters of a name's beginning
CURVE = ("step", "probe", "validation")  # and every term of the loss


def find_cell(name: str, storage: Path) -> str | None:
    """The cell in the ledger whose name is this, or begins so. ValueError where several do."""
    cells = [path.name for path in storage.glob("cells/*")]
    found = [cell for cell in cells if cell == name] or [
        cell for cell in cells if cell.startswith(name)
    ]
    if len(name) < SHORTEST or not found:
        return None
    if len(found) > 1:
        raise ValueError(
            f"{len(found)} cells begin with {name!r}, such as {', '.join(sorted(found)[:2])}: say "
            "more"
        )
    return found[0]


def nearest(name: str, storage: Path) -> str:
    """The end of an error's line: the cells with the most similar names."""
    cells = sorted(path.name for path in storage.glob("cells/*"))
    near = difflib.get_close_matches(name, cells, n=3, cutoff=0.0)
    return f"; of {len(cells)} cells in {storage} the nearest are {', '.join(near)}" if near else ""


def find_outcome(run: str, storage: Path, tracking_uri: str | None) -> Outcome:
    """From the ledger, else from MLflow. ValueError where neither knows the run."""
    cell = find_cell(run, storage)
    outcome = None if cell is None else Ledger(storage).read(cell)
    if outcome is not None:
        return outcome
    uri = Tracker(storage, tracking_uri).uri
    if uri == f"sqlite:///{storage.resolve()}/mlflow.db" and not (storage / "mlflow.db").exists():
        raise ValueError(f"there is no cell {run!r} in {storage}{nearest(run, storage)}")
    tracked = Tracked(uri)
    try:
        found = tracked.run(run)
    except ValueError as error:
        raise ValueError(f"{error}{nearest(run, storage)}") from error
    outcome = tracked.outcome(found)
    if outcome is None:
        raise ValueError(f"the run {run} has not ended, or is no cell: name the run of a cell")
    return outcome


def print_difference(origin: Cell, cell: Cell, console: Console) -> None:
    """What is not as in the run or recipe that the cell was made from."""
    pairs = cell.experiment.diff(origin.experiment)
    lines = changed_lines(
        {name: (str(here), str(before)) for name, (here, before) in pairs.items()}, "before"
    )
    if cell.block != origin.block:
        lines.append(f"block: {cell.block} (before: {origin.block})")
    for line in lines or ["the same recipe and block as before"]:
        console.line(line)


def print_cell(cell: str, storage: Path, console: Console) -> None:
    """All that the ledger knows of a cell. ValueError where it knows nothing."""
    ledger = Ledger(storage)
    outcome, folder = ledger.read(cell), ledger.folder(cell)
    if outcome is None:
        _print_unfinished(cell, folder, console)
    else:
        _print_outcome(outcome, console)
    for line in _uses(cell, storage):
        console.line(line)
    console.line(f"files in {folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}")
    if outcome is not None:
        modules = "".join(f" --module {module}" for module in modules_of(outcome.params))
        test = " --test" if "test" in outcome.metrics else ""
        options = f"--run {cell} --from {storage}{modules}{test}"
        console.line(f"alone:  python -m platform.distill {options} --storage another-folder")


def _print_unfinished(cell: str, folder: Path, console: Console) -> None:
    error = folder / "error.txt"
    if error.exists():
        console.line(f"Cell {cell} could not be computed; the next call tries again. Its log:")
        console.line(error.read_text().rstrip())
        return
    state = (
        "is under way or was stopped; it goes on from its last checkpoint"
        if folder.exists()
        else "is not there"
    )
    console.line(f"Cell {cell} {state}")


def _print_outcome(outcome: Outcome, console: Console) -> None:
    names = dict.fromkeys(name for point in outcome.points for name in point)
    header = [name for name in names if name in CURVE or name.startswith("train.")]
    rows = [
        [f"{point[name]:.4g}" if name in point else "" for name in header]
        for point in outcome.points
    ]
    console.table(f"Cell {outcome.cell}: {outcome.state} at step {outcome.step}", header, rows)
    for name, value in outcome.params.items():
        console.line(f"{name:<28} {value}")
    console.line("")
    own = {"block": Block(**outcome.block), "seconds": f"{outcome.seconds:.1f}"}
    for name, fact in {**outcome.tags, **outcome.environment, **own}.items():
        console.line(f"{name:<28} {fact}")
    for name, value in outcome.metrics.items():
        console.line(f"{name:<28} {value:.4f}")


def _uses(cell: str, storage: Path) -> Iterable[str]:
    """The studies that the cell belongs to."""
    for name in recorded(storage):
        record = read(storage, name)
        assert record is not None
        for variant, cells in record.cells.items():
            if cell in cells:
                yield (
                    f"in the study {name}: {variant}, block "
                    f"{Block(**record.blocks[cells.index(cell)])}"
                )
