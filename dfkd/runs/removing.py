"""Removes a study or sweep by name: its folder, and the cells that nothing else uses."""

from collections.abc import Iterator

from dfkd.cleaning.cleaning import remove
from dfkd.cleaning.items import Item, item
from dfkd.cleaning.references import read_record
from dfkd.cleaning.users import Users
from dfkd.reporting.console import Console
from dfkd.reporting.nearest import nearest
from dfkd.reporting.numbers import counted
from dfkd.reporting.shell import option
from dfkd.runs.listing import STUDY
from dfkd.storage import Storage, layout
from dfkd.storage.files import size
from dfkd.storage.layout import Key
from dfkd.studies import record as studies
from dfkd.sweeps import record as sweeps


def remove_by_name(kind: str, name: str, storage: Storage, removes: bool, console: Console) -> None:
    """Print what would go with a study or sweep; with `removes` remove it.

    kind: "study" or "sweep". Raises ValueError where there is none of this name, or while someone
    works in the storage.
    """
    folder = _folder(kind, name, storage)
    own, others = set(_cells_of(folder, storage)), set(_cells_of_others(folder, storage))
    free = {cell for cell in own - others if _is_own(cell, kind, name, storage)}
    why = f"only the {kind} {name} uses it"
    items = [item(storage, "cell", layout.cell(cell), why) for cell in sorted(free)]
    items = [item(storage, kind, folder, "it was named"), *items]
    total = sum(one.bytes for one in items)
    said = [{"kind": i.kind, "key": i.key, "bytes": i.bytes, "why": i.why} for i in items]
    console.document.put("unused", said)
    console.line(
        f"the {kind} {name}: its record and report, and {counted(len(free), 'cell')} that nothing "
        f"else uses: {size(total)}"
    )
    if kept := len(own - free):
        console.line(f"{counted(kept, 'cell')} stay: other studies, sweeps or runs have them, too")
    if kind != STUDY and not _names_all_cells(folder, storage):
        console.line(
            "cells of its choice and confirmation stay: an older record does not name them"
        )
    if removes:
        _remove(items, storage, console)
    else:
        options = f"{option(kind, name)} --remove {option('storage', storage)}"
        console.line(f"remove it with:  python -m platform.clean {options}")


def _remove(items: list[Item], storage: Storage, console: Console) -> None:
    users = Users(storage)
    users.settle(console.warn)
    if working := users.now():
        raise ValueError(f"{working[0]} is at work in {storage}: remove it when that has ended")
    removed = remove(items, storage, users)
    console.document.put("removed_bytes", removed)
    console.line(f"removed: {size(removed)}")
    where = option("storage", storage)
    console.line(
        f"teacher, pool and scores stay; what nobody needs now:  python -m platform.clean {where}"
    )
    console.line("MLflow keeps its runs: delete them there")


def _folder(kind: str, name: str, storage: Storage) -> Key:
    known = studies.recorded(storage) if kind == STUDY else sweeps.recorded(storage)
    if name not in known:
        raise ValueError(f"there is no {kind} {name!r} in {storage}: {nearest(name, known)}")
    return layout.study(name) if kind == STUDY else layout.sweep(name)


def _cells_of(folder: Key, storage: Storage) -> Iterator[str]:
    """Yield the cells that a study, sweep or retuning names, those of each of its calls."""
    record = read_record(storage, folder / layout.STUDY)
    for cells in record.get("cells", {}).values():
        yield from cells
    for file in storage.list(folder / layout.TRIALS):
        yield read_record(storage, folder / layout.TRIALS / file).get("cell", "")
    for file in storage.list(folder):
        if layout.is_result(file):
            saved = read_record(storage, folder / file)
            yield from saved.get("cells", ())
            yield from (trial["cell"] for trial in saved.get("result", {}).get("trials", ()))


def _cells_of_others(folder: Key, storage: Storage) -> Iterator[str]:
    for kind in (layout.STUDIES, layout.SWEEPS, layout.RETUNINGS):
        for name in storage.list(kind):
            if kind / name != folder:
                yield from _cells_of(kind / name, storage)


def _is_own(cell: str, kind: str, name: str, storage: Storage) -> bool:
    """Return whether the cell is there, and no other work has computed it before."""
    if not cell or not storage.exists(layout.cell(cell)):
        return False
    record = read_record(storage, layout.cell(cell) / layout.RECORD)
    if not record or kind != STUDY:
        return True
    author = record.get("tags", {}).get("computed_by")
    return bool(author == studies.author(name))


def _names_all_cells(folder: Key, storage: Storage) -> bool:
    results = [file for file in storage.list(folder) if layout.is_result(file)]
    return all("cells" in read_record(storage, folder / file) for file in results)
