"""Checks before anything is spent: of good and of bad pools and tasks, none writes anything."""

from dataclasses import replace
from pathlib import Path

import pytest
from small_pieces import small_pool, small_task

from dfkd.data.pools import POOLS, ImageFolder, ParquetPool, TorchvisionPool, WebDatasetTars
from dfkd.data.tasks import TASKS, Cifar10, FashionMnist, LabelledFolder
from dfkd.experiment import Cell, Experiment
from dfkd.identity import location_of
from dfkd.seeding import Block
from dfkd.storage import FolderStorage
from dfkd.testing.pools import stamps
from dfkd.training.inputs import check


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, below which the storage would lie."""
    monkeypatch.setenv("DFKD_CACHE", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def checked(e: Experiment, here: Path) -> str:
    """Return what the check says, "" where it accepts."""
    try:
        check(Cell(experiment=e, block=Block(seed=0)), FolderStorage(here / "runs"))
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("kind", POOLS)
def test_a_pool_whose_files_are_missing_is_refused_and_nothing_is_written(
    kind, tiny: Experiment, here: Path
) -> None:
    pool = kind.example()
    said = checked(replace(tiny, pool=pool), here)
    assert (said or not location_of(pool)) and "\n" not in said
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("kind", POOLS)
def test_a_good_pool_is_accepted_and_nothing_is_written(
    kind, tiny: Experiment, here: Path, tmp_path: Path
) -> None:
    pool = small_pool(kind, tmp_path / "outside")
    before = stamps(tmp_path / "outside")
    said = checked(replace(tiny, pool=pool), here)
    assert said == "" or kind.__name__ == "WildGarments"  # 28x28 where the task has 16x16
    assert list(here.iterdir()) == [] and stamps(tmp_path / "outside") == before


@pytest.mark.parametrize("kind", TASKS)
def test_a_task_whose_files_are_missing_is_refused_and_nothing_is_written(
    kind, tiny: Experiment, here: Path
) -> None:
    task = kind.example() if kind.__name__ != "FashionMnist" else kind(path="folder")
    said = checked(replace(tiny, task=task), here)
    assert (said or not location_of(task)) and "\n" not in said
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("kind", TASKS)
def test_a_good_task_is_accepted_and_nothing_is_written(
    kind, tiny: Experiment, here: Path, tmp_path: Path
) -> None:
    task = small_task(kind, tmp_path / "outside")
    before = stamps(tmp_path / "outside")
    said = checked(replace(tiny, task=task), here)
    assert said == "" or kind.__name__ == "Unlabelled"  # a teacher that is to be trained
    assert list(here.iterdir()) == [] and stamps(tmp_path / "outside") == before


@pytest.mark.parametrize(
    "kind", [ImageFolder, WebDatasetTars, ParquetPool, LabelledFolder, Cifar10, FashionMnist]
)
def test_a_path_below_the_home_folder_is_found(
    kind, tiny: Experiment, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    part, make = ("pool", small_pool) if kind in POOLS else ("task", small_task)
    piece = make(kind, tmp_path / "outside")
    at_home = replace(piece, path=piece.path.replace(str(tmp_path), "~"))
    assert at_home.path.startswith("~/") and checked(replace(tiny, **{part: at_home}), here) == ""
    absent = checked(replace(tiny, **{part: replace(piece, path="~/absent")}), here)
    assert absent.count("\n") == 0 and "absent" in absent


def test_what_is_to_be_downloaded_is_not_downloaded_by_a_check(
    tiny: Experiment, here: Path
) -> None:
    asked = TorchvisionPool(name="MNIST", path="folder", arguments=(("download", True),))
    assert checked(replace(tiny, pool=asked), here) == ""
    assert "name must be that of a data set" in checked(
        replace(tiny, pool=replace(asked, name="Absent")), here
    )
    assert list(here.iterdir()) == []
