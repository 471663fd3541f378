"""Leases as objects: put where none is, renewed by compare-and-swap, taken over when silent.

A store changes an object only if it still is the version that the writer has seen: of two
contenders one wins. Whoever waits watches the object by its own clock; no two clocks are compared.
A holder that ends marks the object as released before it removes it, and nobody else touches it in
between: no store removes an object on condition, and the removal must not hit a successor's.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dfkd.storage.lease import HEARTBEAT_S, LEASE_S, Holder
from dfkd.storage.object_client import client, told
from dfkd.storage.processes import (
    GONE,
    boot_of_this_host,
    name_of_this_host,
    process_state,
    start_of,
)
from dfkd.storage.storage import Unreachable

if TYPE_CHECKING:
    from obstore import PutMode, UpdateVersion


@dataclass(frozen=True)
class _Seen:
    """The object as it was last read. since_s: when it was first seen as it is."""

    content: dict[str, Any]
    version: UpdateVersion
    since_s: float
    moved: bool  # it was seen to change: its holder lives


class ObjectLease:
    """A `Lease` in an object of a bucket."""

    def __init__(self, bucket: str, name: str) -> None:
        self.bucket, self.name = bucket, name
        self._token = uuid.uuid4().hex
        self._seen: _Seen | None = None
        self._held: UpdateVersion | None = None
        self._stop = threading.Event()
        self._beats: threading.Thread | None = None

    def acquire(self) -> bool:
        """See `Lease.acquire`."""
        unchanged_s, self._token = self._look(), uuid.uuid4().hex
        if self._seen is None:
            self._held = self._put(0, "create")
        elif self._is_gone(unchanged_s):
            self._held = self._put(0, self._seen.version)
        if self._held is None:
            return False
        self._stop.clear()
        self._beats = threading.Thread(target=self._renew, daemon=True, name="lease")
        self._beats.start()
        return True

    def release(self) -> None:
        """See `Lease.release`. Where the store does not answer, the lease is left to expire."""
        if self._beats is None:
            return
        self._stop.set()
        self._beats.join()
        held, self._held, self._beats = self._held, None, None
        if held is None:  # another one has it
            return
        with contextlib.suppress(Unreachable, FileNotFoundError):
            if self._put(-1, held, quick=True) is not None:
                self._remove()

    def holder(self) -> Holder | None:
        """See `Lease.holder`."""
        unchanged_s = self._look()
        if self._seen is None or self._seen.content.get("beat") == -1:
            return None
        if self._is_gone(unchanged_s):
            return None
        alive = self._process() == "alive" or self._seen.moved
        return Holder(name=str(self._seen.content.get("name", "a process")), alive=alive)

    def _look(self) -> float:
        """Read the object; return for how many seconds it is known to have been as it is."""
        import obstore

        asked_s, before = time.monotonic(), self._seen
        try:
            with told(f"{self.bucket}/{self.name}"):
                found = obstore.get(client(self.bucket), self.name)
                content = _parsed(bytes(found.bytes()))
        except FileNotFoundError:
            self._seen = None
            return 0.0
        version = _version(found.meta["e_tag"], found.meta["version"])
        if before is not None and before.version == version:
            return asked_s - before.since_s
        moved = before is not None and before.content.get("token") == content.get("token")
        self._seen = _Seen(content, version, time.monotonic(), moved)
        return 0.0

    def _is_gone(self, unchanged_s: float) -> bool:
        return unchanged_s >= LEASE_S or self._process() in GONE

    def _process(self) -> str:
        """Return what has become of the holder's process, "unknown" for one of another host."""
        assert self._seen is not None
        content = self._seen.content
        if content.get("host") != name_of_this_host():
            return "unknown"
        return process_state(content["pid"], content["start"], content["boot"])

    def _put(self, beat: int, mode: PutMode, quick: bool = False) -> UpdateVersion | None:
        """Write the object on a condition; return its version, None where that is not met."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        content = self._content(beat)
        try:
            with told(f"{self.bucket}/{self.name}"):
                put = obstore.put(
                    client(self.bucket, quick), self.name, json.dumps(content).encode(), mode=mode
                )
        except (AlreadyExistsError, PreconditionError, FileNotFoundError):
            self._look()
            if self._seen is None or self._seen.content.get("token") != self._token:
                return None
            # ours: a request whose answer was lost has been sent again, and met what it wrote
            if self._seen.content == content:
                return self._seen.version
            return self._put(beat, self._seen.version, quick)
        return _version(put["e_tag"], put["version"])

    def _content(self, beat: int) -> dict[str, Any]:
        """Return what the object says. beat: how often it was renewed; -1: it is released."""
        pid, host = os.getpid(), name_of_this_host()
        return {
            "name": f"process {pid} on host {host}",
            "host": host,
            "pid": pid,
            "start": start_of(pid),
            "boot": boot_of_this_host() or "",
            "token": self._token,
            "beat": beat,
        }

    def _renew(self) -> None:
        """Give signs of life until the lease is released, or another one has taken it over."""
        beat = 0
        while self._held is not None and not self._stop.wait(HEARTBEAT_S):
            beat += 1
            with contextlib.suppress(Unreachable):  # tried again
                self._held = self._put(beat, self._held, quick=True)

    def _remove(self) -> None:
        import obstore

        with told(f"{self.bucket}/{self.name}"):
            obstore.delete(client(self.bucket, quick=True), [self.name])


def _version(e_tag: str | None, version: str | None) -> UpdateVersion:
    """Return what stores tell versions by, S3 by the e_tag, Google by the version."""
    found: UpdateVersion = {}
    if e_tag is not None:
        found["e_tag"] = e_tag
    if version is not None:
        found["version"] = version
    return found


def _parsed(content: bytes) -> dict[str, Any]:
    """Return the object's content; {} for what no version of this program has written."""
    try:
        value = json.loads(content)
    except ValueError:
        return {}
    complete = isinstance(value, dict) and {"host", "pid", "start", "boot", "token"} <= value.keys()
    return value if complete else {}
