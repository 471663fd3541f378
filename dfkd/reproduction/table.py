"""What a table promises: columns of networks, rows of methods, and what it takes at each scale.

Each column is a study over the methods (rows.py), so that ledger, leases, MLflow, statistics and
pages are those of every study. The first column has a second one, over the images that are used.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from dfkd.experiment import Experiment, recipes
from dfkd.reproduction.rows import ALL_IMAGES, FULL, images_used, methods, rivals
from dfkd.studies import Study
from dfkd.synthesis import FastDfkd
from dfkd.synthesis.pool import LARGEST

SMOKE, SMALL, PAPER = "smoke", "small", "paper"
EVALUATIONS = 20  # of a curve: what 95 % of the final accuracy is told to
NO_RESULT = "smoke: not a result"


def drawn_small(generator: Experiment, scale: str) -> Experiment:
    """Return KD on images made from the teacher; of a smoke, on a few that take no time."""
    if scale != SMOKE:
        return generator
    return replace(generator, pool=FastDfkd(rows=100, batch=50, steps=1, warm_up=0))


@dataclass(frozen=True, kw_only=True)
class Files:
    """Where the files lie that a table reads; "" where nobody has said it.

    data: of the task; pool: unlabelled images; teachers: state dicts.
    """

    data: str = ""
    pool: str = ""
    teachers: str = ""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A teacher and a student. name: in the names of studies; title: for people."""

    name: str
    title: str


class Table(ABC):
    """A table of methods by columns.

    blocks: how many at each scale that the table has. notes: what readers of its methods must know
    beside what every study says of itself.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    columns: ClassVar[tuple[Column, ...]]
    blocks: ClassVar[Mapping[str, int]]
    notes: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def full(self, column: Column, scale: str, files: Files) -> Experiment:
        """Return the full method; nothing is read for it at the paper's scale."""

    def dfnd(self, column: Column, full: Experiment) -> Experiment:
        """Return DFND beside this full method."""
        return recipes.dfnd(full)

    def rivals(
        self, column: Column, full: Experiment, scale: str, files: Files
    ) -> dict[str, Experiment]:
        """Return what this full method is compared with, by the names of rows."""
        fits = max(full.task.image_shape[:2]) <= LARGEST
        generator = drawn_small(recipes.generator(full), scale) if fits else None
        return rivals(full, self.dfnd(column, full), generator)

    def missing(self, column: Column, files: Files) -> Iterator[str]:
        """Yield what the paper's scale needs and is not there, and where to put it."""
        yield from ()

    def write_smoke_files(self, folder: Path) -> Files:
        """Write tiny files of the right format, unless they are there, and say where they lie."""
        return Files()

    def studies(self, scale: str, files: Files, blocks: int | None = None) -> dict[str, Study]:
        """Return the studies by name. blocks: instead of the table's own number."""
        number = self.blocks[scale] if blocks is None else blocks
        fulls = {column: self.full(column, scale, files) for column in self.columns}
        first = self.columns[0]
        found = {
            self.study_name(column, scale): Study(
                question=self._asked(column, scale, "what is each method worth?"),
                variants=methods(full, self.rivals(column, full, scale, files)),
                baseline=FULL,
                blocks=number,
            )
            for column, full in fulls.items()
        }
        found[self.images_name(scale)] = Study(
            question=self._asked(first, scale, "how many images does the full method need?"),
            variants=images_used(fulls[first]),
            baseline=ALL_IMAGES,
            blocks=number,
        )
        return found

    def study_name(self, column: Column, scale: str) -> str:
        """Return the name of the study of a column."""
        return f"{self.name}-{column.name}-{scale}"

    def images_name(self, scale: str) -> str:
        """Return the name of the study of the images used."""
        return f"{self.name}-{self.columns[0].name}-images-{scale}"

    def study_names(self, scale: str) -> dict[str, Column]:
        """Return the names of all studies with the column that each is of; nothing is built."""
        names = {self.study_name(column, scale): column for column in self.columns}
        return names | {self.images_name(scale): self.columns[0]}

    def _asked(self, column: Column, scale: str, question: str) -> str:
        label = f" ({NO_RESULT})" if scale == SMOKE else ""
        return f"{self.title}, {column.title}: {question}{label}"
