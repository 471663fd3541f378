"""Leases: two drivers on one storage folder do not compute the same cell, and nothing is cleaned
away under one.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfkd.storage import layout

if TYPE_CHECKING:
    from dfkd.storage.storage import Storage

IN_USE = ".in-use-"  # how the lease of a driver begins, directly in the storage folder
HEARTBEAT_S = 5.0
STALE_S = (
    60.0  # a lease whose owner cannot be asked is taken over after this long without a heartbeat
)


class Lease:
    """A file that names its owner, touched every few seconds while it is held.

    The owner is gone if its process is (same host), or if the heartbeat stopped long ago (another
    host).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._released = threading.Event()

    def acquire(self) -> bool:
        """True if this process holds the lease now; False while another one does."""
        if self._holder_is_gone():
            self.path.unlink(missing_ok=True)
        try:
            handle = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            return False
        with os.fdopen(handle, "w") as file:
            json.dump(_owner(os.getpid()), file)
        threading.Thread(target=self._beat, daemon=True).start()
        return True

    def release(self) -> None:
        self._released.set()
        self.path.unlink(missing_ok=True)

    def held(self) -> bool:
        """Whether a process that is alive holds it."""
        return self.path.exists() and not self._holder_is_gone()

    def _beat(self) -> None:
        while not self._released.wait(HEARTBEAT_S):
            try:
                os.utime(self.path)
            except FileNotFoundError:
                return

    def _holder_is_gone(self) -> bool:
        try:
            age_s = time.time() - self.path.stat().st_mtime
            owner: dict[str, Any] = json.loads(self.path.read_text())
        except FileNotFoundError:
            return False
        except json.JSONDecodeError:  # killed between creating and writing it
            return age_s > HEARTBEAT_S
        if owner["host"] == _host() and owner["started"]:
            return owner != _owner(owner["pid"])
        return age_s > STALE_S


@contextmanager
def using(storage: Storage) -> Iterator[None]:
    """While a driver works in a storage: what it has made or found there must not be cleaned
    away.
    """
    path = storage / layout.in_use(uuid.uuid4().hex)
    path.parent.mkdir(parents=True, exist_ok=True)
    lease = Lease(path)
    lease.acquire()
    try:
        yield
    finally:
        lease.release()


def _owner(pid: int) -> dict[str, Any]:
    """A process by host, number and start; the start tells a process from a later one with the same
    number.

    A process that was killed is gone even while its parent has not collected it (a zombie, for ever
    in a container whose first process collects none). The start is "" where the system has no /proc
    to ask.
    """
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        started = "gone" if state in ("Z", "X") else fields[18]
    except (FileNotFoundError, ProcessLookupError):
        started = "gone" if Path("/proc/self/stat").exists() else ""
    return {"host": _host(), "pid": pid, "started": started}


def _host() -> str:
    """Host name and boot: the numbers of processes mean nothing after a restart, or in another
    container.
    """
    boot = Path("/proc/sys/kernel/random/boot_id")
    return f"{socket.gethostname()} {boot.read_text().strip() if boot.exists() else ''}"
