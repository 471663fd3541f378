"""Holders of leases: real processes, files of other hosts, and a clock that can be put on."""

from __future__ import annotations

import base64
import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from dfkd.storage import Storage
from dfkd.storage.layout import Key
from dfkd.storage.lease import LEASE_S, SAY_AFTER_S, Lease, Wait

ROOT = Path(__file__).parents[2]
HOUR_S = 3600
STORAGE_HOLDER = """
import base64, pickle, sys, time
storage, key = pickle.loads(base64.b64decode(sys.argv[1]))
lease = storage.lease(key)
print(lease.acquire(), flush=True)
time.sleep(600)
"""


class Clock:
    """This process's own clock, which can be put on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead_s, now = 0.0, time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: now() + self.ahead_s)


def of_another_host(path: Path, dated_s: float) -> None:
    """The file of a holder elsewhere, by whose clock it was touched so long after now."""
    lines = ["filelock/2", f"pid={os.getpid()}", "host=elsewhere", "mode=lease", "token=0123"]
    path.write_text("\n".join([*lines, f"duration={LEASE_S!r}", "start=1"]) + "\n")
    os.utime(path, (time.time() + dated_s,) * 2)


def of_earlier_version(path: Path, host: str, pid: int, started: str) -> None:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    path.write_text(json.dumps({"host": f"{host} {boot}", "pid": pid, "started": started}))


def start_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]


def first_to_put(storage: Storage, key: Key, content: bytes) -> bool:
    """Put into a storage, in a process that is started for it: its module is light."""
    return storage.put_if_absent(key, content)


class StorageHolder:
    """Another process that tries to get a lease of a storage and then does nothing."""

    def __init__(self, storage: Storage, key: Key) -> None:
        sent = base64.b64encode(pickle.dumps((storage, key))).decode()
        command = [sys.executable, "-c", STORAGE_HOLDER, sent]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self.process.stdout is not None
        self.got_it = self.process.stdout.readline() == "True\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> StorageHolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


class Holder(StorageHolder):
    """One of a lease in a folder; it is killed as by `kill -9`, and leaves a zombie."""

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)


def contend(storage: Storage, key: Key, rounds: int, barrier: Barrier, won: Queue) -> None:
    """In every round: try with all others at once, keep what was got until all have tried."""
    for number in range(rounds):
        lease = storage.lease(key)
        barrier.wait()
        got_it = lease.acquire()
        barrier.wait()
        won.put((number, got_it))
        lease.release()
        barrier.wait()


def one_wins_each_round(
    storage: Storage, key: Key, left_behind: str, contenders: int, rounds: int
) -> None:
    """Let processes contend for a killed holder's lease: in every round one of them gets it.

    left_behind: what the holder left at the key.
    """
    spawn = multiprocessing.get_context("spawn")
    barrier, won = spawn.Barrier(contenders + 1), spawn.Queue()
    arguments = (storage, key, rounds, barrier, won)
    processes = [
        spawn.Process(target=contend, args=arguments, daemon=True) for _ in range(contenders)
    ]
    for process in processes:
        process.start()
    for number in range(rounds):
        storage.write_text(key, left_behind)
        barrier.wait(60)
        barrier.wait(60)
        found = [won.get(timeout=60) for _ in range(contenders)]
        assert {at for at, _ in found} == {number}
        assert sum(got_it for _, got_it in found) == 1, found
        barrier.wait(60)
    for process in processes:
        process.join()


def waits_aloud(lease: Lease, clock: Clock, held_by: str) -> None:
    """Wait for the lease of another host that gives no sign of life: one line says whose it is."""
    said = list[str]()
    wait = Wait(lease, "the cell abc", said.append)
    while not lease.acquire():
        assert not said or clock.ahead_s > SAY_AFTER_S
        clock.ahead_s += 4
        wait.poll()
    assert LEASE_S <= clock.ahead_s < LEASE_S + 10
    [line] = said
    assert line.startswith(f"waiting since {wait.began} for the cell abc: {held_by}")
    assert line.endswith(
        "host elsewhere holds it, taken for gone after 60 s without a sign of life"
    )
