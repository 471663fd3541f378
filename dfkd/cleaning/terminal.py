"""What may be cleaned away, in the terminal: by kind and reason, with sizes and what it costs to
have it again.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dfkd.cleaning.cleaning import COSTS, Item, remove, unreferenced, users
from dfkd.reporting.console import Console
from dfkd.storage.files import size

HOUR_S = 3600.0


def clean(storage: Path, older_than_h: float, removes: bool, paths: bool, console: Console) -> None:
    """Show what nothing refers to, and remove it if that is asked for. ValueError where there is no
    storage.
    """
    if not storage.is_dir():
        raise ValueError(f"there is no storage folder {storage}: name one with --storage")
    items = unreferenced(storage, older_than_h * HOUR_S)
    _say_who_works(storage, console)
    if not items:
        console.line(
            f"nothing to remove: of what is older than {older_than_h:g} hours, all in {storage} is "
            "in use"
        )
        return
    _show(items, storage, paths, console)
    if removes:
        console.line(f"removed: {size(remove(items, storage))}")
    else:
        older = f" --older-than {older_than_h:g}"
        console.line(
            f"remove it with:  python -m platform.clean --remove{older} --storage {storage}"
        )


def _say_who_works(storage: Path, console: Console) -> None:
    working = users(storage)
    if working:
        more = f" and {len(working) - 3} more" if len(working) > 3 else ""
        console.warn(
            f"{', '.join(working[:3])}{more} at work in {storage}: only what no process can need "
            "is named"
        )


def _show(items: Iterable[Item], storage: Path, paths: bool, console: Console) -> None:
    groups: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        groups.setdefault((item.kind, item.why), []).append(item)
    rows = [
        [kind, str(len(group)), size(sum(item.bytes for item in group)), why, COSTS[kind]]
        for (kind, why), group in sorted(
            groups.items(), key=lambda pair: list(COSTS).index(pair[0][0])
        )
    ]
    total = sum(item.bytes for group in groups.values() for item in group)
    header = ["kind", "count", "size", "why it may go", "to have it again"]
    console.table(
        f"Nothing refers to this in {storage}: {size(total)}", header, rows, text=header[3:]
    )
    if paths:
        for item in (item for group in groups.values() for item in group):
            console.line(
                f"{item.kind:<13} {size(item.bytes):>10}  {item.path.relative_to(storage)}"
            )
