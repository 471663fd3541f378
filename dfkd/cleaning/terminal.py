"""What may be cleaned away, in the terminal: by kind and reason, with its size and its price."""

from collections.abc import Iterable

from dfkd.cleaning.cleaning import remove, unreferenced
from dfkd.cleaning.items import COSTS, Item
from dfkd.cleaning.users import Users
from dfkd.reporting.console import Console
from dfkd.reporting.shell import option
from dfkd.storage import Storage, layout
from dfkd.storage.files import size

HOUR_S = 3600.0


def clean(
    storage: Storage, older_than_h: float, removes: bool, paths: bool, console: Console
) -> None:
    """Print what nothing refers to, with `removes` remove it. ValueError where there is no storage.

    paths: print the path of each thing as well.
    """
    folder = storage.path(layout.ROOT)
    if folder is not None and not folder.is_dir():
        raise ValueError(f"there is no storage folder {storage}: name one with --storage")
    users = Users(storage)
    users.settle(console.warn)
    items = unreferenced(storage, older_than_h * HOUR_S, users)
    said = [{"kind": i.kind, "key": i.key, "bytes": i.bytes, "why": i.why} for i in items]
    console.document.put("unused", said)
    _print_users(users.now(), storage, console)
    if not items:
        console.line(
            f"nothing to remove: of what is older than {older_than_h:g} hours, all in {storage} is "
            "in use"
        )
        return
    _print_items(items, storage, paths, console)
    if removes:
        removed = remove(items, storage, users)
        console.document.put("removed_bytes", removed)
        console.line(f"removed: {size(removed)}")
    else:
        older = f" --older-than {older_than_h:g}"
        console.line(
            f"remove it with:  python -m platform.clean --remove{older} "
            f"{option('storage', storage)}"
        )


def _print_users(working: list[str], storage: Storage, console: Console) -> None:
    if working:
        more = f" and {len(working) - 3} more" if len(working) > 3 else ""
        console.warn(
            f"{', '.join(working[:3])}{more} at work in {storage}: only what no process can need "
            "is named"
        )


def _print_items(items: Iterable[Item], storage: Storage, paths: bool, console: Console) -> None:
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
            console.line(f"{item.kind:<13} {size(item.bytes):>10}  {item.key}")
