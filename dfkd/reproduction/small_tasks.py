"""The tables that two cores can compute in earnest: Fashion-MNIST and scikit-learn's digits."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, cast

from dfkd.data.pools import Glyphs, WildGarments
from dfkd.data.tasks import FashionMnist
from dfkd.data.tasks.fashion_mnist import content_of
from dfkd.experiment import Experiment, recipes
from dfkd.models.teachers import SupervisedTeacher
from dfkd.reproduction.smoke_files import write_fashion
from dfkd.reproduction.table import EVALUATIONS, SMALL, SMOKE, Column, Files, Table

NARROW = Column(name="w16-w8", title="small ResNet, 16 channels wide -> 8")
SMOKE_ROWS = 600  # of the pool


class DigitsTable(Table):
    """The development task, on which the recipe's settings were found: no claim about others."""

    name, title = "digits", "digits"
    columns = (NARROW,)
    blocks: ClassVar[Mapping[str, int]] = {SMOKE: 2, SMALL: 5}

    def full(self, column: Column, scale: str, files: Files) -> Experiment:
        full = recipes.digits()
        if scale == SMOKE:
            return _shrunk(replace(full, pool=Glyphs(rows=SMOKE_ROWS)))
        return _in_detail(full)


class FashionTable(Table):
    name, title = "fashion", "Fashion-MNIST"
    columns = (NARROW,)
    blocks: ClassVar[Mapping[str, int]] = {SMOKE: 2, SMALL: 5}

    def full(self, column: Column, scale: str, files: Files) -> Experiment:
        full = recipes.fashion()
        if scale == SMOKE:
            task = FashionMnist(path=files.data, content=content_of(files.data))
            pool = WildGarments(rows=SMOKE_ROWS, task=task)
            return _shrunk(replace(full, task=task, pool=pool))
        task = FashionMnist(path=files.data)
        return _in_detail(replace(full, task=task, pool=WildGarments(task=task)))

    def write_smoke_files(self, folder: Path) -> Files:
        write_fashion(folder / "data", records=200)
        return Files(data=str(folder / "data"))


def _in_detail(full: Experiment) -> Experiment:
    return replace(full, schedule=replace(full.schedule, evaluations=EVALUATIONS))


def _shrunk(full: Experiment) -> Experiment:
    teacher = replace(cast(SupervisedTeacher, full.teacher), steps=5, batch=16)
    schedule = replace(full.schedule, steps=10, batch=16, evaluations=2)
    return replace(full, teacher=teacher, schedule=schedule)
