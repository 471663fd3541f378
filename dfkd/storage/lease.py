"""Leases: who computes a cell or works in a storage now, so that no other process does the same.

A lease is held until it is released, or until its holder is gone: at once where that can be seen,
on another host when it has given no sign of life for `LEASE_S` seconds by the watcher's own clock.
No two machines' clocks are compared. A lease is no lock: a holder that was stopped for longer and
goes on works beside its successor; results are put in place whole, so that this costs time only.
"""

from __future__ import annotations

import contextlib
import logging
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dfkd.storage import layout
from dfkd.storage.layout import Key

if TYPE_CHECKING:
    from dfkd.storage.storage import Storage

HEARTBEAT_S = 5.0  # how often a holder gives a sign of life
LEASE_S = 60.0  # without one for so long, it is taken for gone
POLL_S = 1.0
SAY_AFTER_S = 10.0  # of waiting
SAY_AGAIN_S = 600.0

Say = Callable[[str], None]
log: Say = logging.getLogger(__name__).warning  # where nobody has a terminal


@dataclass(frozen=True)
class Holder:
    """Who holds a lease. alive: it is known to live; False where that cannot be told yet."""

    name: str  # "process 123 on host a"
    alive: bool

    def line(self) -> str:
        """Return what is said of it to whoever waits."""
        unsure = f", taken for gone after {LEASE_S:g} s without a sign of life"
        return f"{self.name} holds it{'' if self.alive else unsure}"


class Lease(Protocol):
    """The right to work alone at something. Ask the same object again: it watches the holder."""

    def acquire(self) -> bool:
        """Return True if this object holds the lease now, False while another one does."""

    def release(self) -> None:
        """Let go of it; without effect where it is not held."""

    def holder(self) -> Holder | None:
        """Return who holds it, None where nobody does or the holder is known to be gone."""


@contextmanager
def using(storage: Storage) -> Iterator[Key]:
    """Say that a command works in a storage, so that nothing is cleaned away under it.

    Gives the lease that says so: whoever sees the same storage sees it. At the end the leases of
    commands that were killed are removed, of which there was no sign of life all the while.
    """
    key = layout.in_use(uuid.uuid4().hex)
    lease, others = storage.lease(key), _watched(storage)
    lease.acquire()
    try:
        yield key
    finally:
        lease.release()
        with contextlib.suppress(OSError):  # it is tidiness only
            for other, theirs in others.items():
                if storage.exists(other) and theirs.acquire():
                    theirs.release()


def _watched(storage: Storage) -> dict[Key, Lease]:
    """Return the leases of commands that are there, looked at for the first time."""
    keys = [Key(name) for name in storage.list(layout.ROOT) if name.startswith(layout.IN_USE)]
    leases = {key: storage.lease(key) for key in keys}
    for lease in leases.values():
        lease.holder()
    return leases


@contextmanager
def alone(lease: Lease, what: str, say: Say) -> Iterator[None]:
    """Work with the lease held. Raises ValueError where another process is seen to hold it.

    A holder of which that cannot be told is watched until it gives a sign of life or is gone.
    """
    wait = Wait(lease, what, say)
    while not lease.acquire():
        holder = lease.holder()
        if holder is not None and holder.alive:
            raise ValueError(f"{holder.name} is at {what} now: wait until it has ended")
        wait.poll()
    try:
        yield
    finally:
        lease.release()


class Wait:
    """Waiting for a lease: after 10 s it is said for what, since when, and who holds it."""

    def __init__(self, lease: Lease, what: str, say: Say) -> None:
        self.lease, self.what, self.say = lease, what, say
        self.began, self.began_s = time.strftime("%H:%M:%S"), time.monotonic()
        self.next_s = self.began_s + SAY_AFTER_S

    def poll(self) -> None:
        """Sleep until it is worth asking for the lease again."""
        if time.monotonic() >= self.next_s:
            self.next_s = time.monotonic() + SAY_AGAIN_S
            self._tell()
        time.sleep(POLL_S)

    def _tell(self) -> None:
        holder = self.lease.holder()
        if holder is not None:
            self.say(f"waiting since {self.began} for {self.what}: {holder.line()}")
