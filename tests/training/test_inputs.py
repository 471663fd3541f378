"""Sources: what is checked before anything is written, and what is found instead of made again."""

from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import save_file

from dfkd.data.pools import ParquetPool
from dfkd.data.pools.glyphs import Glyphs
from dfkd.experiment import Cell, Experiment
from dfkd.method.selection import Random
from dfkd.models.networks import SmallResNet
from dfkd.models.teachers import SupervisedTeacher, TeacherFile
from dfkd.seeding import Block
from dfkd.storage import FolderStorage
from dfkd.training.inputs import check, inputs_key, load, obtain, score_here

SMALL = SmallResNet(width=8)


def cell(experiment: Experiment, **block: int) -> Cell:
    return Cell(experiment=experiment, block=Block(**{"seed": 0, **block}))


def everything(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


# ---- refused before anything is computed or written


def teacher_of_7_classes(tiny: Experiment, folder: Path) -> tuple[Experiment, Path]:
    save_file(
        {n: v.contiguous() for n, v in SMALL.build(7, 1).state_dict().items()},
        folder / "t.safetensors",
    )
    return replace(
        tiny, teacher=TeacherFile(path=str(folder / "t.safetensors"), network=SMALL)
    ), folder / "runs"


def no_teacher(tiny: Experiment, folder: Path) -> tuple[Experiment, Path]:
    return replace(
        tiny, teacher=TeacherFile(path=str(folder / "no.safetensors"), network=SMALL)
    ), folder / "runs"


def storage_below_a_file(tiny: Experiment, folder: Path) -> tuple[Experiment, Path]:
    (folder / "file").touch()
    return tiny, folder / "file" / "runs"


def empty_pool(tiny: Experiment, folder: Path) -> tuple[Experiment, Path]:
    (folder / "pool").mkdir()
    return replace(tiny, pool=ParquetPool(path=str(folder / "pool"))), folder / "runs"


def no_pool(tiny: Experiment, folder: Path) -> tuple[Experiment, Path]:
    return replace(tiny, pool=ParquetPool(path=str(folder / "pool"))), folder / "runs"


def damaged_pool(tiny: Experiment, folder: Path) -> tuple[Experiment, Path]:
    (folder / "pool").mkdir()
    (folder / "pool" / "a.parquet").write_bytes(b"no Parquet")
    return replace(tiny, pool=ParquetPool(path=str(folder / "pool"))), folder / "runs"


BAD = {
    teacher_of_7_classes: "is for 7 classes where the task has 10",
    no_teacher: "does not exist",
    storage_below_a_file: "cannot be written",
    empty_pool: "but got nothing in",
    no_pool: "which is not a folder",
    damaged_pool: "a.parquet",
}


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_bad_input_is_one_line_and_leaves_nothing_behind(make, tiny, tmp_path):
    experiment, storage = make(tiny, tmp_path)
    before = everything(tmp_path)
    with pytest.raises(ValueError) as raised:
        check(cell(experiment), FolderStorage(storage))
    assert BAD[make] in str(raised.value)
    assert "\n" not in str(raised.value)
    assert everything(tmp_path) == before


def test_good_input_passes_and_nothing_is_made_yet(tiny, tmp_path):
    check(cell(tiny), FolderStorage(tmp_path / "runs"))
    assert list(tmp_path.iterdir()) == []


# ---- found again


def test_everything_is_found_the_second_time(tiny, source, inputs, source_storage):
    before = everything(source_storage)
    again = obtain(cell(tiny), FolderStorage(source_storage))
    score_here(again, FolderStorage(source_storage))
    loaded = load(again, FolderStorage(source_storage))
    assert everything(source_storage) == before
    assert (again.teacher.digest, again.pool) == (source.teacher.digest, source.pool)
    assert (loaded.images_NHWC == inputs.images_NHWC).all()
    assert (loaded.scores.logits_NK == inputs.scores.logits_NK).all()
    assert (loaded.probe.rows_P == inputs.probe.rows_P).all()


def test_images_and_scores_are_of_the_same_rows(tiny, source, inputs):
    assert len(inputs.images_NHWC) == len(inputs.scores) == 600
    assert inputs.scores.row_id_N.tolist() == list(range(600))
    assert len(inputs.validation) == 300


def test_cells_share_a_source_if_task_pool_and_teacher_are_equal(tiny):
    key = inputs_key(cell(tiny))
    assert (
        inputs_key(cell(replace(tiny, selection=Random(ratio=0.5), explicit=None), seed=3)) == key
    )
    others = [
        cell(tiny, draw=1),
        cell(tiny, teacher=1),
        cell(replace(tiny, pool=Glyphs(rows=601))),
        cell(replace(tiny, teacher=SupervisedTeacher(network=SMALL))),
        cell(replace(tiny, teacher=TeacherFile(path="a", network=SMALL))),
        cell(replace(tiny, teacher=TeacherFile(path="b", network=SMALL))),
        cell(replace(tiny, pool=ParquetPool(path="a"))),
        cell(replace(tiny, pool=ParquetPool(path="b"))),
    ]
    assert len({key, *map(inputs_key, others)}) == 9


def test_a_seed_of_the_block_does_not_train_another_teacher(tiny, source, source_storage):
    assert (
        obtain(cell(tiny, seed=7), FolderStorage(source_storage)).teacher.digest
        == source.teacher.digest
    )
