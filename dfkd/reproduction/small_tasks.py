"""The tables that two cores can compute in earnest: Fashion-MNIST and scikit-learn's digits."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, cast

from dfkd.data.pools import Glyphs, WildGarments
from dfkd.data.tasks import FashionMnist
from dfkd.data.tasks.fashion_mnist import content_of
from dfkd.experiment import Experiment, recipes
from dfkd.models.teachers import SupervisedTeacher
from dfkd.reproduction.rows import GENERATOR, MIXTURES
from dfkd.reproduction.smoke_files import write_fashion
from dfkd.reproduction.table import EVALUATIONS, SMALL, SMOKE, Column, Files, Table, drawn_small
from dfkd.reproduction.tuned import tuned_rivals

NARROW = Column(name="w16-w8", title="small ResNet, 16 channels wide -> 8")
SMOKE_ROWS = 1_500  # of the pool: a twelfth of a tenth still has a row for each class
NOTES = (
    "full is the recipe that docs/protocol.md's second round recommends: rows by energy with "
    "unfilled quotas, balanced batches, the teacher's maps; the earlier recipe has confident rows "
    "with filled quotas, batches as they come and pooled features",
    "full and its rivals stand each at a setting of its own (learning rate, share of the pool, "
    "temperature), of six the one that the protocol's tuning chose without labels; labels, which "
    "was not tuned, has the learning rate of KD on original",
    "without a part full keeps its settings, which favours full",
    "mixtures alone take four times the steps; what its rivals reach in as many stands in "
    "docs/measured.md, the third round",
)


class _Small(Table):
    """A task on which the protocol tuned every method; its recipes have the table's name."""

    columns = (NARROW,)
    blocks: ClassVar[Mapping[str, int]] = {SMOKE: 2, SMALL: 5}
    notes = NOTES

    @abstractmethod
    def read(self, recipe: Experiment, scale: str, files: Files) -> Experiment:
        """Return the recipe on these files, with a small pool for a smoke."""

    def full(self, column: Column, scale: str, files: Files) -> Experiment:
        return self._at("maps", scale, files)

    def rivals(
        self, column: Column, full: Experiment, scale: str, files: Files
    ) -> dict[str, Experiment]:
        found = tuned_rivals(self._at("", scale, files), self.name)
        found[GENERATOR] = drawn_small(found[GENERATOR], scale)
        return found | {MIXTURES: recipes.mixtures(full)}

    def _at(self, ending: str, scale: str, files: Files) -> Experiment:
        name = "_".join(filter(None, (self.name, ending)))
        recipe = self.read(recipes.recipe_named(name), scale, files)
        return _shrunk(recipe) if scale == SMOKE else _in_detail(recipe)


class DigitsTable(_Small):
    """The development task, on which the recipe's settings were found: no claim about others."""

    name, title = "digits", "digits"

    def read(self, recipe: Experiment, scale: str, files: Files) -> Experiment:
        return replace(recipe, pool=Glyphs(rows=SMOKE_ROWS)) if scale == SMOKE else recipe


class FashionTable(_Small):
    name, title = "fashion", "Fashion-MNIST"

    def read(self, recipe: Experiment, scale: str, files: Files) -> Experiment:
        if scale == SMOKE:
            task = FashionMnist(path=files.data, content=content_of(files.data))
            return replace(recipe, task=task, pool=WildGarments(rows=SMOKE_ROWS, task=task))
        task = FashionMnist(path=files.data)
        return replace(recipe, task=task, pool=WildGarments(task=task))

    def write_smoke_files(self, folder: Path) -> Files:
        write_fashion(folder / "data", records=200)
        return Files(data=str(folder / "data"))


def _in_detail(full: Experiment) -> Experiment:
    return replace(full, schedule=replace(full.schedule, evaluations=EVALUATIONS))


def _shrunk(full: Experiment) -> Experiment:
    teacher = replace(cast(SupervisedTeacher, full.teacher), steps=5, batch=16)
    schedule = replace(full.schedule, steps=10, batch=16, evaluations=2)
    return replace(full, teacher=teacher, schedule=schedule)
