"""Every task that is listed, through the suite that a user's own task can run."""

from collections.abc import Iterator

import numpy as np
import pytest
from small_pieces import small_task

from dfkd.data.tasks import TASKS, Task
from dfkd.testing import TaskSuite
from dfkd.testing.tasks import splits_of


class TestEveryTask(TaskSuite):
    @pytest.fixture(params=TASKS, scope="class")
    def piece(
        self, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[Task]:
        """Made once; its cache lies beside its files."""
        folder = tmp_path_factory.mktemp("outside")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DFKD_CACHE", str(folder / "cache"))
            yield small_task(request.param, folder / "files")

    def test_every_split_has_every_class(self, piece: Task) -> None:
        for split in splits_of(piece).values():
            assert set(np.unique(split.labels)) == set(range(piece.classes))
