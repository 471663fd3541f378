"""What may be cleaned away: kinds of things, their size and when they were last written."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from dfkd.storage import Storage
from dfkd.storage.layout import Key

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
NOBODY = "no recorded cell uses it"


@dataclass(frozen=True, kw_only=True)
class Item:
    """Something that may go. why: what shows that nothing refers to it."""

    kind: str
    key: Key
    bytes: int
    touched: float  # when something in it was last written, in seconds since 1970
    why: str


def item(storage: Storage, kind: str, key: Key, why: str) -> Item:
    """Return the file or folder with this key as something that may go."""
    entries = list(storage.walk(key))
    return Item(
        kind=kind,
        key=key,
        bytes=sum(entry.bytes for entry in entries),
        touched=max((entry.modified for entry in entries), default=0.0),
        why=why,
    )


def as_young_as(items: Iterable[Item], others: Iterable[Item]) -> list[Item]:
    """Return the items as if they had been touched whenever one of the others was."""
    newest = max((other.touched for other in others), default=0.0)
    return [replace(one, touched=max(one.touched, newest)) for one in items]
