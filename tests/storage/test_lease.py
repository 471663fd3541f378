"""Leases between real processes: one holder at a time, and none after it is gone, however it went.

Time is that of this process alone: `clock` makes it pass, files get any date.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import SoftFileLease
from leases import (
    HOUR_S,
    Holder,
    of_another_host,
    of_earlier_version,
    one_wins_each_round,
    start_of,
)

from dfkd.storage import FolderStorage
from dfkd.storage.file_lease import FileLease
from dfkd.storage.layout import Key
from dfkd.storage.lease import HEARTBEAT_S, LEASE_S

# ---- one holder


def test_one_holder_at_a_time(path, holder):
    first = holder()
    assert first.got_it
    assert not FileLease(path).acquire()
    assert not holder().got_it


def test_the_process_itself_does_not_get_it_twice(path):
    lease = FileLease(path)
    assert lease.acquire()
    assert not FileLease(path).acquire()
    lease.release()
    assert not path.exists()
    assert FileLease(path).acquire()


def test_any_thread_may_release_it(path):
    lease = FileLease(path)
    assert lease.acquire()
    thread = threading.Thread(target=lease.release)
    thread.start()
    thread.join()
    assert not path.exists() and FileLease(path).acquire()


def test_the_holder_is_named(path, holder):
    lease = FileLease(path)
    assert lease.holder() is None
    first = holder()
    found = lease.holder()
    assert found is not None and found.alive
    assert str(first.process.pid) in found.name and socket.gethostname() in found.name
    first.kill()
    assert lease.holder() is None


def test_a_held_lease_beats_and_a_released_one_is_silent(path, monkeypatch):
    monkeypatch.setattr("dfkd.storage.file_lease.HEARTBEAT_S", 0.01)
    lease = FileLease(path)
    assert lease.acquire()
    os.utime(path, (0, 0))
    deadline = time.monotonic() + 10
    while path.stat().st_mtime == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert path.stat().st_mtime > 0
    lease.release()
    time.sleep(0.05)
    assert not path.exists()


# ---- a holder that is gone, on this host


def test_a_killed_holder_holds_nothing(path, holder):
    first, lease = holder(), FileLease(path)
    assert not lease.acquire()
    first.kill()
    assert Path(f"/proc/{first.process.pid}").exists() or sys.platform != "linux"  # a zombie
    assert lease.acquire()
    assert SoftFileLease(path, lease_duration=LEASE_S).pid == os.getpid()


def test_a_killed_and_collected_holder_holds_nothing(path, holder):
    first = holder()
    first.kill()
    first.process.wait()
    assert FileLease(path).acquire()


def test_another_process_with_the_same_number_is_not_the_holder(path):
    FileLease(path).acquire()
    lease = FileLease(path)
    assert lease.acquire()
    text = path.read_text()
    lease.release()
    lines = [line for line in text.splitlines() if not line.startswith("start=")]
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
    path.write_text("\n".join([*lines, f"start={(int(boot, 16) << 64) + 1}"]) + "\n")
    assert FileLease(path).holder() is None and FileLease(path).acquire()


# ---- a holder of which that cannot be seen


@pytest.mark.parametrize("dated_s", [-HOUR_S, 0, HOUR_S])
def test_a_holder_on_another_host_is_believed_while_its_file_changes(path, clock, dated_s):
    of_another_host(path, dated_s)
    lease = FileLease(path)
    for _ in range(3):
        assert not lease.acquire()
        clock.ahead_s += LEASE_S - 1
        found = lease.holder()
        assert found is not None and "elsewhere" in found.name
        os.utime(path, (path.stat().st_mtime + 5,) * 2)  # by its own clock
    assert not lease.acquire() and lease.holder().alive
    clock.ahead_s += LEASE_S + 1
    assert lease.holder() is None and lease.acquire()


def test_who_comes_later_watches_anew(path, clock):
    of_another_host(path, -HOUR_S)
    assert not FileLease(path).acquire()
    clock.ahead_s += LEASE_S + 1
    assert not FileLease(path).acquire()


def test_a_file_without_a_name_is_taken_over_soon(path, clock):
    """A holder killed before it wrote its name."""
    path.touch()
    lease = FileLease(path)
    assert not lease.acquire() and not lease.holder().alive
    clock.ahead_s += HEARTBEAT_S + 1
    assert lease.holder() is None and lease.acquire()


@pytest.mark.parametrize("text", ["garbage\n", "filelock/2\npid=1", "[]"])
def test_a_damaged_file_blocks_nobody(path, text):
    path.write_text(text)
    lease, deadline = FileLease(path), time.monotonic() + 30
    while not lease.acquire():
        assert time.monotonic() < deadline


def test_a_lease_that_can_never_be_had_is_one_line_and_no_endless_wait(path):
    path.mkdir()
    with pytest.raises(ValueError, match=r"the lease .*lease cannot be taken \(Is a directory\): "):
        FileLease(path).acquire()
    with pytest.raises(ValueError, match=r"cannot be taken \((Not a directory|File exists)\): "):
        FileLease(Path(__file__) / "lease").acquire()


# ---- files of earlier versions


def test_a_dead_holder_of_an_earlier_version_holds_nothing(path, holder):
    first = holder()
    started = start_of(first.process.pid)
    first.kill()
    of_earlier_version(path, socket.gethostname(), first.process.pid, started)
    assert FileLease(path).holder() is None and FileLease(path).acquire()


def test_a_live_holder_of_an_earlier_version_is_believed(path, clock):
    of_earlier_version(path, socket.gethostname(), os.getpid(), start_of(os.getpid()))
    lease = FileLease(path)
    assert not lease.acquire() and lease.holder().alive
    os.utime(path)
    assert not lease.acquire()


@pytest.mark.parametrize("dated_s", [-HOUR_S, HOUR_S])
def test_a_silent_holder_of_an_earlier_version_elsewhere_is_taken_over(path, clock, dated_s):
    of_earlier_version(path, "elsewhere", 1, "7")
    os.utime(path, (time.time() + dated_s,) * 2)
    lease = FileLease(path)
    assert not lease.acquire() and "elsewhere" in lease.holder().name
    clock.ahead_s += LEASE_S + 1
    assert lease.acquire()


# ---- races


def zombie(path: Path, holder: Callable[[], Holder]) -> str:
    gone = holder()
    text = path.read_text()
    gone.kill()
    return text


def dead(path: Path, holder: Callable[[], Holder]) -> str:
    gone = holder()
    text = path.read_text()
    gone.kill()
    gone.process.wait()
    return text


def earlier(path: Path, holder: Callable[[], Holder]) -> str:
    dead(path, holder)
    of_earlier_version(path, socket.gethostname(), 1, "7")  # another process has that number
    return path.read_text()


@pytest.mark.parametrize(("kind", "rounds"), [(dead, 10), (zombie, 10), (earlier, 2)])
def test_of_several_contenders_for_a_killed_holders_lease_one_gets_it(path, holder, kind, rounds):
    left_behind = kind(path, holder)
    storage, key = FolderStorage(path.parent), Key(path.name)
    one_wins_each_round(storage, key, left_behind, contenders=4, rounds=rounds)
    assert not list(path.parent.glob("*"))
