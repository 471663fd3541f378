"""Leases in an object store: one holder, taken over when it is gone, and no other one removed."""

import json
import threading
import time
from collections.abc import Iterator

import pytest
from leases import Clock, StorageHolder, one_wins_each_round, waits_aloud

from dfkd.storage.layout import Key
from dfkd.storage.lease import HEARTBEAT_S, LEASE_S
from dfkd.storage.object_lease import ObjectLease
from dfkd.storage.object_store import ObjectStorage

KEY = Key("cells/a/lease")


@pytest.fixture
def lease(object_storage: ObjectStorage) -> Iterator[ObjectLease]:
    made = object_storage.lease(KEY)
    assert isinstance(made, ObjectLease)
    yield made
    made.release()


def of_another_host(storage: ObjectStorage, beat: int = 0, token: str = "theirs") -> None:
    """What a holder elsewhere has written."""
    content = {"name": "process 7 on host elsewhere", "host": "elsewhere", "pid": 7, "start": 1}
    content |= {"boot": "1", "token": token, "beat": beat}
    storage.write_text(KEY, json.dumps(content))


def test_one_holder_at_a_time(object_storage: ObjectStorage, lease: ObjectLease) -> None:
    other = object_storage.lease(KEY)
    assert lease.holder() is None and lease.acquire() and not other.acquire()
    holder = other.holder()
    assert holder is not None and holder.alive and "process" in holder.name
    lease.release()
    assert other.holder() is None and not object_storage.exists(KEY)
    assert other.acquire() and not lease.acquire()
    other.release()


def test_any_thread_may_release_it_and_twice(
    object_storage: ObjectStorage, lease: ObjectLease
) -> None:
    assert lease.acquire()
    for _ in range(2):
        thread = threading.Thread(target=lease.release)
        thread.start()
        thread.join()
    assert not object_storage.exists(KEY)


def test_a_killed_holder_on_this_host_holds_nothing(
    object_storage: ObjectStorage, lease: ObjectLease
) -> None:
    with StorageHolder(object_storage, KEY) as first:
        assert not lease.acquire()
        first.kill()
        assert lease.holder() is None and lease.acquire()


def test_a_holder_elsewhere_is_believed_while_it_is_renewed(
    object_storage: ObjectStorage, lease: ObjectLease, clock: Clock
) -> None:
    of_another_host(object_storage)
    for beat in range(1, 4):
        assert not lease.acquire()
        clock.ahead_s += LEASE_S - 1
        holder = lease.holder()
        assert holder is not None and holder.name == "process 7 on host elsewhere"
        of_another_host(object_storage, beat)
    assert not lease.acquire() and lease.holder().alive
    clock.ahead_s += LEASE_S + 1
    assert lease.holder() is None and lease.acquire()


def test_who_comes_later_watches_anew(
    object_storage: ObjectStorage, lease: ObjectLease, clock: Clock
) -> None:
    of_another_host(object_storage)
    assert not lease.acquire()
    clock.ahead_s += LEASE_S + 1
    assert not object_storage.lease(KEY).acquire()


@pytest.mark.parametrize("text", ["", "garbage", "[]", '{"token": 1}'])
def test_a_damaged_object_blocks_nobody_for_long(
    object_storage: ObjectStorage, lease: ObjectLease, clock: Clock, text: str
) -> None:
    object_storage.write_text(KEY, text)
    assert not lease.acquire() and lease.holder() is not None
    clock.ahead_s += LEASE_S + 1
    assert lease.acquire()


def test_a_held_lease_beats_until_another_one_has_it(
    object_storage: ObjectStorage, lease: ObjectLease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dfkd.storage.object_lease.HEARTBEAT_S", 0.01)
    assert lease.acquire()
    deadline = time.monotonic() + 20
    while object_storage.read_json(KEY)["beat"] < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert object_storage.read_json(KEY)["beat"] >= 3
    of_another_host(object_storage)  # which took it over while we were stopped
    lease._beats.join(20)
    lease.release()
    assert object_storage.read_json(KEY)["token"] == "theirs"  # not removed


def test_one_that_is_being_released_is_left_to_its_holder(
    object_storage: ObjectStorage, lease: ObjectLease, clock: Clock
) -> None:
    of_another_host(object_storage, beat=-1)
    assert lease.holder() is None and not lease.acquire()
    clock.ahead_s += LEASE_S + 1
    assert lease.acquire()  # its holder was killed before it could remove it


def test_who_waits_says_for_what_since_when_and_held_by_whom(
    object_storage: ObjectStorage, lease: ObjectLease, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dfkd.storage.lease.POLL_S", 0)
    of_another_host(object_storage)
    waits_aloud(lease, clock, "process 7 on ")
    assert HEARTBEAT_S < LEASE_S


def test_of_several_contenders_for_a_killed_holders_lease_one_gets_it(
    object_storage: ObjectStorage,
) -> None:
    with StorageHolder(object_storage, KEY) as holder:
        left_behind = object_storage.get(KEY).decode()
        holder.kill()
    one_wins_each_round(object_storage, KEY, left_behind, contenders=3, rounds=8)
    assert object_storage.list(Key(".")) == []
