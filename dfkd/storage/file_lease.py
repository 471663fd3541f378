"""Leases as files in a folder that every node sees.

filelock's `SoftFileLease` writes who holds the lease into the file, touches it while it is held,
and takes it over by an exchange that only one contender wins. Three kinds of files need help here:
that of a killed process whose parent has not collected it (a zombie, for ever in a container whose
first process collects none), an empty one whose writer was killed at that moment, and the JSON of
earlier versions of this program. None is removed: a line more leads filelock to take it over.
"""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import SoftFileLease, Timeout

from dfkd.storage.lease import HEARTBEAT_S, LEASE_S, Holder
from dfkd.storage.processes import GONE, name_of_this_host, process_state

ANOTHER_PROCESS = b"start=1\n"  # the last one counts: the number is that of a later process
UNREADABLE = b"gone\n"
TRY_S = 0.1  # where the disk knows no exchange, filelock needs a second try
HEAL_S = 4.0  # what filelock cannot read it takes over when it has watched it for 2 s


class FileLease:
    """A `Lease` in a file."""

    def __init__(self, path: Path) -> None:
        self._watch = _Watch(path)
        self._lock = SoftFileLease(
            path,
            lease_duration=LEASE_S,
            heartbeat_interval=HEARTBEAT_S,
            thread_local=False,  # any thread may release it
        )

    def acquire(self) -> bool:
        """See `Lease.acquire`."""
        unchanged_s, record, try_s = self._watch.unchanged_s(), self._record(), TRY_S
        if record is not None and record.of_filelock:
            if record.process == "zombie":
                self._watch.append(ANOTHER_PROCESS)
        elif record is not None:
            if record.process not in GONE and unchanged_s < record.gone_after_s:
                return False
            self._watch.append(UNREADABLE)
            try_s = HEAL_S
        try:
            self._lock.acquire(timeout=try_s)
        except Timeout:
            return False
        except OSError as error:
            if self.holder() is not None:  # another user's file, which is not ours to open
                return False
            raise ValueError(
                f"the lease {self._watch.path} cannot be taken ({error.strerror}): make it and its "
                "folder writable, or name another storage"
            ) from error
        return True

    def release(self) -> None:
        """See `Lease.release`."""
        self._lock.release()

    def holder(self) -> Holder | None:
        """See `Lease.holder`."""
        unchanged_s, record = self._watch.unchanged_s(), self._record()
        if record is None or record.process in GONE:
            return None
        if unchanged_s >= record.gone_after_s:
            return None
        return Holder(name=record.name, alive=record.process == "alive" or self._watch.moved)

    def _record(self) -> _Record | None:
        owner = self._lock.owner
        if owner is None:
            return _other_record(self._watch.path)
        start = owner.start or 0
        return _Record(
            name=f"process {owner.pid} on host {owner.hostname}",
            process=process_state(owner.pid, start % 2**64, f"{start >> 64:032x}")
            if owner.hostname == name_of_this_host()
            else "unknown",
            of_filelock=True,
        )


@dataclass(frozen=True, kw_only=True)
class _Record:
    """What a file says of who holds the lease. process: "alive", "gone", "zombie" or "unknown"."""

    name: str
    process: str
    of_filelock: bool = False
    gone_after_s: float = LEASE_S  # without a change


class _Watch:
    """How long a file has not changed while it was watched, by the clock of this process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.moved = False  # seen to change: its holder lives
        self._seen: tuple[int, ...] | None = None
        self._since_s = 0.0

    def unchanged_s(self) -> float:
        """Look at the file. Return the seconds since it was first seen as it is, 0 without one."""
        try:
            seen = _state(self.path.stat())
        except (FileNotFoundError, NotADirectoryError):
            self._seen, self.moved = None, False
            return 0.0
        if seen != self._seen:
            self.moved = self._seen is not None and self._seen[0] == seen[0]  # else another file
            self._seen, self._since_s = seen, time.monotonic()
        return time.monotonic() - self._since_s

    def append(self, line: bytes) -> None:
        """Add a line to the file that was seen, and to none that has taken its place."""
        with suppress(FileNotFoundError, PermissionError):
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND)
            try:
                if _state(os.fstat(file)) == self._seen:
                    os.write(file, line)
            finally:
                os.close(file)


def _state(status: os.stat_result) -> tuple[int, ...]:
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def _other_record(path: Path) -> _Record | None:
    """Read an empty file, or one of an earlier version; filelock takes care of all others."""
    try:
        text = path.read_text(encoding="utf-8")
        if not text:
            name = "a process that has not given its name"
            return _Record(name=name, process="unknown", gone_after_s=HEARTBEAT_S)
        owner = json.loads(text)
        host, _, boot = owner["host"].partition(" ")
        pid, start = int(owner["pid"]), int(owner["started"] or 0)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return _Record(
        name=f"process {pid} on host {host}",
        process=process_state(pid, start, boot.replace("-", ""))
        if host == socket.gethostname()
        else "unknown",
    )
