"""Waiting for a lease: it is said for what, since when, and who holds it."""

import os

import pytest
from leases import HOUR_S, of_another_host, waits_aloud

from dfkd.storage import FolderStorage, layout
from dfkd.storage.file_lease import FileLease
from dfkd.storage.lease import LEASE_S, Wait, alone, using


def test_who_waits_says_for_what_since_when_and_held_by_whom(path, clock, monkeypatch):
    monkeypatch.setattr("dfkd.storage.lease.POLL_S", 0)
    of_another_host(path, HOUR_S)
    waits_aloud(FileLease(path), clock, f"process {os.getpid()} on ")


def test_a_long_wait_is_said_again_now_and_then(path, clock, monkeypatch):
    monkeypatch.setattr("dfkd.storage.lease.POLL_S", 0)
    of_another_host(path, 0)
    lease, said = FileLease(path), list[str]()
    wait = Wait(lease, "the cell abc", said.append)
    for beat in range(HOUR_S // 10):
        assert lease.holder() is not None
        os.utime(path, (beat, beat))
        clock.ahead_s += 10
        wait.poll()
    assert 2 <= len(said) <= 7 and all(line.endswith("holds it") for line in said)


def test_a_short_wait_is_not_worth_a_line(path, clock, monkeypatch, holder):
    monkeypatch.setattr("dfkd.storage.lease.POLL_S", 0)
    holder()
    wait = Wait(FileLease(path), "the cell abc", pytest.fail)
    for _ in range(9):
        clock.ahead_s += 1
        wait.poll()


def test_to_work_alone_is_refused_at_once_beside_a_live_process(path, holder):
    first = holder()
    with (
        pytest.raises(ValueError, match=rf"^process {first.process.pid} .* at the sweep x now: "),
        alone(FileLease(path), "the sweep x", pytest.fail),
    ):
        pytest.fail("two work at it")
    first.kill()
    with alone(FileLease(path), "the sweep x", pytest.fail):
        assert path.exists()
    assert not path.exists()


@pytest.mark.parametrize("lives", [True, False])
def test_to_work_alone_a_silent_holder_is_watched_until_it_can_be_told(
    path, clock, monkeypatch, lives
):
    monkeypatch.setattr("dfkd.storage.lease.POLL_S", 0)
    of_another_host(path, HOUR_S)
    lease, said = FileLease(path), list[str]()

    class Watched:
        """The lease, asked every four seconds; the holder elsewhere beats in the fifth try."""

        tries = 0
        release, holder = lease.release, lease.holder

        def acquire(self) -> bool:
            clock.ahead_s += 4
            self.tries += 1
            if lives and self.tries == 5:
                os.utime(path, (0, 0))
            return lease.acquire()

    watched = Watched()
    if lives:
        with pytest.raises(ValueError, match="host elsewhere is at"), alone(watched, "x", print):
            pytest.fail("two work at it")
        assert watched.tries == 5
    else:
        with alone(watched, "x", said.append):
            assert len(said) == 1 and clock.ahead_s > LEASE_S


def test_a_command_in_a_storage_says_so(tmp_path):
    with using(FolderStorage(tmp_path / "s")):
        [name] = [path.name for path in (tmp_path / "s").iterdir()]
        assert name.startswith(layout.IN_USE)
    assert not list((tmp_path / "s").iterdir())
