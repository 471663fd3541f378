"""The command that shows what may go, and removes it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from test_clean import state, working

from dfkd.execution.compute import Compute
from dfkd.experiment import Cell, Experiment
from dfkd.reporting.console import Console
from dfkd.runs.one_cell import compute_one
from dfkd.seeding import Block
from dfkd.storage import FolderStorage
from dfkd.storage.files import size


def test_a_command_at_work_says_so(tiny: Experiment, storage: Path) -> None:
    class Watching(Console):
        seen: ClassVar[list[list[str]]] = []

        def line(self, text: str) -> None:
            self.seen.append(working(storage))

    compute_one(
        Cell(experiment=tiny, block=Block(seed=0)),
        False,
        Compute(storage=FolderStorage(storage)),
        Watching(quiet=True),
    )
    assert (
        Watching.seen
        and all("a command" in seen for seen in Watching.seen)
        and not working(storage)
    )


def test_the_command_shows_then_removes(
    storage: Path, run_command: Callable[..., Any], tmp_path: Path
) -> None:
    options = ("--storage", str(storage), "--older-than", "0")
    before = state(storage)
    shown = run_command("clean", *options, "--paths", folder=tmp_path)
    assert shown.returncode == 0 and state(storage) == before
    assert (
        "the teacher looks at those images again" in shown.stdout
        and "pools/glyphs-v1-100" in shown.stdout
    )
    assert (
        f"remove it with:  python -m platform.clean --remove --older-than 0 --storage {storage}"
        in shown.stdout
    )
    done = run_command("clean", *options, "--remove", folder=tmp_path)
    assert done.returncode == 0 and "removed: " in done.stdout
    nothing = run_command("clean", *options, folder=tmp_path)
    assert nothing.stdout.startswith("nothing to remove: ") and len(state(storage)) < len(before)
    images_NHWC = np.load(next(storage.glob("packs/*/images_NHWC.npy")))
    assert len(images_NHWC) == 600


def test_bad_input_is_one_line(run_command: Callable[..., Any], tmp_path: Path) -> None:
    for options, said in (
        (("--storage", "nowhere"), "there is no storage folder"),
        (("--older-than", "-1"), "--older-than must be 0 hours or more"),
    ):
        done = run_command("clean", *options, folder=tmp_path)
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and said in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (9_960, "10 kB"),
        (999_600, "1.0 MB"),
        (77e6, "77 MB"),
        (5.12e9, "5.1 GB"),
        (3.3e15, "3300 TB"),
    ],
)
def test_sizes_for_people(count: float, said: str) -> None:
    assert size(count) == said
