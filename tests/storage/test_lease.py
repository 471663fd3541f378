"""Leases between real processes: one holder at a time, and none after the holder is gone, however
it went.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import dfkd.storage.lease
from dfkd.storage.lease import STALE_S, Lease

HOLDER = """
import sys, time
from pathlib import Path
from dfkd.storage.lease import Lease
print(Lease(Path(sys.argv[1])).acquire(), flush=True)
time.sleep(600)
"""


class Holder:
    """Another process that tries to get the lease and then does nothing."""

    def __init__(self, path: Path) -> None:
        command = [sys.executable, "-c", HOLDER, str(path)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
        )
        assert self.process.stdout is not None
        self.got_it = self.process.stdout.readline() == "True\n"

    def kill(self) -> None:
        """As `kill -9`, and its parent does not collect it: a zombie stays."""
        self.process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Callable[[], Holder]]:
    started: list[Holder] = []

    def start() -> Holder:
        started.append(Holder(tmp_path / "lease"))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.communicate()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lease"


def test_one_holder_at_a_time(path, holder):
    first = holder()
    assert first.got_it
    assert not Lease(path).acquire()
    assert not holder().got_it


def test_the_process_itself_does_not_get_it_twice(path):
    lease = Lease(path)
    assert lease.acquire()
    assert not Lease(path).acquire()
    lease.release()
    assert not path.exists()
    assert Lease(path).acquire()


def test_a_killed_holder_holds_nothing(path, holder):
    first = holder()
    assert not Lease(path).acquire()
    first.kill()
    assert Path(f"/proc/{first.process.pid}").exists() or sys.platform != "linux"  # a zombie
    assert Lease(path).acquire()
    owner = json.loads(path.read_text())
    assert owner["pid"] == os.getpid()


def test_a_killed_and_collected_holder_holds_nothing(path, holder):
    first = holder()
    first.kill()
    first.process.wait()
    assert Lease(path).acquire()


def test_another_process_with_the_same_number_is_not_the_holder(path):
    Lease(path).acquire()
    owner = json.loads(path.read_text())
    path.write_text(json.dumps(owner | {"started": "1"}))
    assert Lease(path).acquire()


def of_another_host(path: Path, age_s: float) -> None:
    path.write_text(json.dumps({"host": "another host", "pid": os.getpid(), "started": "1"}))
    os.utime(path, (time.time() - age_s,) * 2)


def test_a_holder_on_another_host_is_believed_while_its_heart_beats(path):
    of_another_host(path, age_s=STALE_S - 10)
    assert not Lease(path).acquire()
    of_another_host(path, age_s=STALE_S + 1)
    assert Lease(path).acquire()


def test_where_processes_cannot_be_asked_the_heartbeat_decides(path):
    Lease(path).acquire()
    owner = json.loads(path.read_text())
    path.write_text(
        json.dumps(owner | {"started": "", "pid": 2**22 + 1})
    )  # as on a system without /proc
    assert not Lease(path).acquire()
    os.utime(path, (time.time() - STALE_S - 1,) * 2)
    assert Lease(path).acquire()


def test_a_held_lease_beats_and_a_released_one_is_silent(path, monkeypatch):
    monkeypatch.setattr(dfkd.storage.lease, "HEARTBEAT_S", 0.01)
    lease = Lease(path)
    assert lease.acquire()
    os.utime(path, (0, 0))
    deadline = time.monotonic() + 10
    while path.stat().st_mtime == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert time.time() - path.stat().st_mtime < 60
    lease.release()
    time.sleep(0.05)
    assert not path.exists()


def test_a_holder_killed_before_it_wrote_its_name_is_taken_over_soon(path):
    path.touch()
    assert not Lease(path).acquire()
    os.utime(path, (time.time() - dfkd.storage.lease.HEARTBEAT_S - 1,) * 2)
    assert Lease(path).acquire()
