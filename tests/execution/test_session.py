"""The session: which of Ray's private names it depends on, and that Ray still has them."""

import inspect
import mmap
from pathlib import Path

import ray

from dfkd.execution import score_workers, session


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
