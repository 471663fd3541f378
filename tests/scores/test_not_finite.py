"""Teachers whose answers are NaN or infinite: counted in one line and refused."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import odd_teacher
import pytest
from commands import PROJECTS
from odd_teacher import Odd

from dfkd.data.importing.shards import write_shard
from dfkd.data.pools import ParquetPool
from dfkd.data.tasks import Digits
from dfkd.experiment import Cell, Experiment
from dfkd.models.teachers import ModuleTeacher
from dfkd.reporting.console import Console
from dfkd.runs.teacher import print_teacher
from dfkd.scores import missing_shards, scores_of
from dfkd.scores.not_finite import NotFinite
from dfkd.scores.top_k import TopK
from dfkd.seeding import Block
from dfkd.storage import FolderStorage
from dfkd.training.inputs import InputSource, obtain, score_here

NAN, INF = float("nan"), float("inf")
INK = 90.0  # mean grey level: some of the digits have more, the mean image has 78


def cell_of(tiny: Experiment, pool: Path, **odd: Any) -> Cell:
    teacher = ModuleTeacher(module=Odd(**odd))
    return Cell(
        experiment=replace(tiny, pool=ParquetPool(path=str(pool)), teacher=teacher),
        block=Block(seed=0),
    )


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real digits in two shards: the first has none above INK, the second 30 of 50."""
    folder = tmp_path_factory.mktemp("pool")
    images = Digits().train().images
    much = images.mean(axis=(1, 2, 3)) > INK
    few, many = images[~much], images[much]
    write_shard(folder / "a.parquet", np.arange(40), few[:40])
    write_shard(folder / "b.parquet", np.arange(40, 90), np.concatenate([few[40:60], many[:30]]))
    return folder


@pytest.mark.parametrize("cache", [None, TopK(k=1), TopK(k=5)])
@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("part", ["logits", "features"])
def test_some_rows_are_counted_and_only_whole_shards_of_numbers_are_written(
    tiny: Experiment, pool: Path, part: str, value: float, cache: TopK | None, tmp_path: Path
) -> None:
    cell = cell_of(tiny, pool, part=part, value=value, above=INK)
    source = replace(obtain(cell, FolderStorage(tmp_path)), cache=cache)
    kind = "NaN" if value != value else "infinity"
    for images in (90, 50):  # the second time the good shard is there already
        with pytest.raises(NotFinite) as raised:
            score_here(source, FolderStorage(tmp_path))
        assert str(raised.value) == (
            f"the teacher must answer with finite numbers, but 30 of {images} images got others "
            f"(30 with {kind} in {part}; the first is row 60): mend its weights or its network, or "
            "name another teacher"
        )
        assert len(missing(source, tmp_path)) == 1
        assert len([path for path in (tmp_path / "scores").rglob("*") if path.is_file()]) == 1


def test_all_rows_of_all_shards_are_counted_together(
    tiny: Experiment, pool: Path, tmp_path: Path
) -> None:
    source = obtain(
        cell_of(tiny, pool, part="logits", value=NAN, above=-1.0), FolderStorage(tmp_path)
    )
    with pytest.raises(NotFinite, match=r"90 of 90 images got others \(90 with NaN in logits"):
        score_here(source, FolderStorage(tmp_path))
    assert not (tmp_path / "scores").exists()


def test_kinds_are_counted_apart() -> None:
    logits_NK, features_ND = np.zeros((5, 3), np.float32), np.zeros((5, 2), np.float32)
    logits_NK[1, 0], logits_NK[1, 1], logits_NK[4, 2], features_ND[4, 0] = NAN, INF, -INF, NAN
    with pytest.raises(NotFinite) as raised:
        scores_of(np.arange(10, 15), logits_NK, features_ND)
    why = raised.value
    assert (why.images, why.bad, why.first) == (5, 2, 11)
    assert why.kinds == {"NaN in logits": 1, "infinity in logits": 2, "NaN in features": 1}
    assert "\n" not in str(why)


def test_a_first_look_at_such_a_teacher_is_refused(
    tiny: Experiment, pool: Path, tmp_path: Path
) -> None:
    """Not "median nan %"."""
    cell = cell_of(tiny, pool, part="logits", value=NAN, above=INK)
    task = NoValidation()
    cell = replace(cell, experiment=replace(cell.experiment, task=task))
    teacher = cell.experiment.teacher.obtain(task, FolderStorage(tmp_path))
    with pytest.raises(NotFinite, match="30 of 90 images"):
        print_teacher(teacher, cell, FolderStorage(tmp_path), Console())


class NoValidation(Digits):
    def validation(self) -> None:
        return None


RECIPE = """
from dataclasses import replace
from odd_teacher import Odd
from tiny_space import default
from dfkd.models.teachers import ModuleTeacher

experiment = replace(
    default, teacher=ModuleTeacher(module=Odd(part="logits", value=float("nan"), above=90.0))
)
"""


@pytest.mark.slow
def test_a_command_says_it_in_one_line(run_command: Callable[..., Any], tmp_path: Path) -> None:
    """On Ray's workers, whose traceback would be the first thing that is seen otherwise."""
    shutil.copy(PROJECTS / "tiny_space.py", tmp_path)
    shutil.copy(odd_teacher.__file__, tmp_path)
    (tmp_path / "recipe.py").write_text(RECIPE)
    done = run_command("score", "recipe", "--storage", "runs", folder=tmp_path)
    assert done.returncode == 2, done.stderr
    [line] = [line for line in done.stderr.splitlines() if "error: " in line]
    assert "the teacher must answer with finite numbers, but" in line
    assert "of 800 images got others" in line and "Traceback" not in done.stderr
    assert not list((tmp_path / "runs").rglob("scores/*/*"))


def missing(source: InputSource, storage: Path) -> list[Any]:
    return missing_shards(
        FolderStorage(storage), source.teacher.digest, source.pool, source.task, source.cache
    )
