"""What one cell has put in place is known to the plan of a study that needs it, too."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dfkd.data.pools import ImageFolder
from dfkd.execution.compute import Compute
from dfkd.execution.local_executor import local_executor
from dfkd.experiment import Cell, Experiment
from dfkd.planning.demand import of_study
from dfkd.planning.volume import volume
from dfkd.reporting.console import Console
from dfkd.storage import FolderStorage, layout
from dfkd.studies import Study
from dfkd.studies.forecast import forecast

ROWS = 60


@pytest.fixture
def recipe(tiny: Experiment, tmp_path: Path) -> Experiment:
    noise = np.random.default_rng(0).integers(0, 256, (ROWS, 16, 16), np.uint8)
    (folder := tmp_path / "images").mkdir()
    for i, image_HW in enumerate(noise):
        Image.fromarray(image_HW).save(folder / f"{i}.png")
    schedule = replace(tiny.schedule, steps=4, evaluations=1)
    return replace(tiny, pool=ImageFolder(path=str(folder)), schedule=schedule)


def test_a_distilled_cell_is_known(recipe: Experiment, tmp_path: Path) -> None:
    where = Compute(storage=FolderStorage(tmp_path / "runs"))
    variants = {"full": recipe, "no dropping": replace(recipe, dropping=None)}
    study = Study(question="?", variants=variants, baseline="full", blocks=2)
    demand = of_study("new", study, where, anew=False)
    with pytest.raises(ValueError, match="image_folder has is known only when it is read"):
        volume(demand.inputs, demand.left, where.storage, None)
    assert not forecast("new", study, where).prepared

    cell: Cell = study.cells()["full", 1]
    with local_executor([cell], where, Console(quiet=True)) as executor:
        executor.compute("cell", [executor.run_context.job(cell, True)], lambda outcome: None)

    demand = of_study("new", study, where, anew=False)
    assert (demand.cells, len(demand.left)) == (4, 3)
    assert volume(demand.inputs, demand.left, where.storage, None).rows == 0
    told = forecast("new", study, where)
    assert told.prepared and (told.cells, told.done) == (4, 1)
    assert forecast("new", study, replace(where, cpus=2)).done == 0  # these are other cells

    longer = replace(recipe, teacher=replace(recipe.teacher, steps=31))
    other = Cell(experiment=longer, block=cell.block)
    assert volume([other], [], where.storage, None).rows == ROWS  # the pool was read, not scored
    for pack in where.storage.list(layout.PACKS):
        where.storage.delete(layout.pack(pack))
    assert volume(demand.inputs, [], where.storage, None).rows == ROWS
