"""The session: which of Ray's private names it depends on, and that Ray still has them."""

import inspect
import mmap
from pathlib import Path

import pytest
import ray

from dfkd.execution import score_workers, session
from dfkd.execution.compute import Compute
from dfkd.reporting.failures import in_a_line
from dfkd.storage import FolderStorage


def test_ray_still_has_the_private_settings_for_workers_that_are_warm_and_ours() -> None:
    """`_system_config` is Ray's, "for testing only": without it every phase begins with cold ones.

    A setting that Ray's raylet does not know would have no effect, and nobody would say so.
    """
    assert "_system_config=SYSTEM" in inspect.getsource(session)
    assert 'kwargs.pop("_system_config"' in inspect.getsource(ray.init)
    raylet = Path(ray.__file__).parent / "core" / "src" / "ray" / "raylet" / "raylet"
    with raylet.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as binary:
        assert all(binary.find(name.encode()) > 0 for name in session.SYSTEM)


def test_ray_still_has_the_private_member_that_counts_attempts_at_a_task() -> None:
    """Without it a shard that kills its process would be given out again for ever."""
    assert "get_current_task_attempt_number" in inspect.getsource(score_workers)
    assert callable(ray._raylet.CoreWorker.get_current_task_attempt_number)


def test_a_ray_that_does_not_start_is_a_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ray raises a plain `Exception` then, which only an overloaded machine shows."""

    def never_ready(*_: object, **__: object) -> None:
        raise Exception("The current node timed out during startup. This could happen because ...")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "init", never_ready)
    opened = session.joined(Compute(storage=FolderStorage(tmp_path)))
    with pytest.raises(OSError, match=r"Ray did not start \(The current node timed out") as raised:
        opened.__enter__()
    assert "\n" not in in_a_line(raised.value)


def test_a_ray_that_was_started_before_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in a notebook: workers of such a Ray would have other threads and none of our settings."""
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "shutdown", lambda: pytest.fail("it is somebody else's"))
    opened = session.joined(Compute(storage=FolderStorage(tmp_path)))
    with pytest.raises(ValueError, match=r"^Ray runs in this process already.*ray.shutdown\(\)"):
        opened.__enter__()
