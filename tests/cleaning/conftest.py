"""A storage with one recorded cell, and beside it what no cell uses."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dfkd.data.pools.glyphs import Glyphs
from dfkd.experiment import Cell, Experiment
from dfkd.seeding import Block
from dfkd.storage import FolderStorage
from dfkd.training.cells import compute
from dfkd.training.inputs import InputSource, load, obtain, score_here
from dfkd.training.jobs import Job


@pytest.fixture(scope="session")
def made(
    tiny: Experiment,
    job_of: Callable[..., Job],
    source: InputSource,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, dict[str, InputSource]]:
    """A storage with one cell.

    Beside it a pool and a teacher, scored and packed, that no cell uses.
    """
    storage = tmp_path_factory.mktemp("storage")
    weak = replace(tiny.teacher, steps=1)
    wanted = {
        "used": tiny,
        "another pool": replace(tiny, pool=Glyphs(rows=100)),
        "another teacher": replace(tiny, teacher=weak),
    }
    sources = {}
    for name, experiment in wanted.items():
        sources[name] = obtain(
            Cell(experiment=experiment, block=Block(seed=0)), FolderStorage(storage)
        )
        score_here(sources[name], FolderStorage(storage))
        inputs = load(sources[name], FolderStorage(storage))
        if name == "used":
            compute(job_of(tiny), inputs, FolderStorage(storage))
    assert sources["used"].teacher.digest == source.teacher.digest
    return storage, sources


@pytest.fixture
def storage(made: tuple[Path, dict[str, InputSource]], tmp_path: Path) -> Path:
    """A copy that may be cleaned."""
    return shutil.copytree(made[0], tmp_path / "storage")
