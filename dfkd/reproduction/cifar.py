"""CIFAR-10 and CIFAR-100 with a pool of ImageNet-32, for the five pairs of the literature."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from dfkd.data.images.transforms import Crop
from dfkd.data.tasks import Cifar10, Cifar100
from dfkd.experiment import Experiment, recipes
from dfkd.method.dropping import NoiseMatrix
from dfkd.models.networks import CifarResNet, CifarVGG11, Network, WideResNet
from dfkd.reproduction import paper
from dfkd.reproduction.smoke_files import write_cifar, write_folder_pool, write_parquet_pool
from dfkd.reproduction.table import EVALUATIONS, PAPER, SMOKE, Column, Files, Table

WRN_40_2 = WideResNet(depth=40, width=2)
POOL_ROWS = 96  # of the smoke's pool


@dataclass(frozen=True, kw_only=True)
class Pair(Column):
    """A column with its networks. file: of the teacher, without its ending."""

    teacher: Network
    student: Network
    file: str


RESNET18 = CifarResNet(depth=18)
PAIRS = (
    Pair(
        name="r34-r18",
        title="ResNet-34 -> ResNet-18",
        teacher=CifarResNet(depth=34),
        student=RESNET18,
        file="resnet34",
    ),
    Pair(
        name="vgg11-r18",
        title="VGG11-BN -> ResNet-18",
        teacher=CifarVGG11(),
        student=RESNET18,
        file="vgg11",
    ),
    *(
        Pair(
            name=f"wrn40x2-wrn{depth}x{width}",
            title=f"WRN-40-2 -> WRN-{depth}-{width}",
            teacher=WRN_40_2,
            student=WideResNet(depth=depth, width=width),
            file="wrn40-2",
        )
        for depth, width in ((16, 1), (40, 1), (16, 2))
    ),
)


class _Cifar(Table):
    """A CIFAR task. accuracy: of each teacher file's network, for DFND's noise matrix.

    CIFAR has no validation labels; these are the published script's (ResNet-34) and CMI's.
    """

    task: ClassVar[type[Cifar10 | Cifar100]]
    accuracy: ClassVar[Mapping[str, float]]
    smoke_records: ClassVar[int]  # in each of the task's files
    pool_is_parquet: ClassVar[bool]  # of the smoke
    columns: ClassVar[tuple[Pair, ...]] = PAIRS
    blocks: ClassVar[Mapping[str, int]] = {SMOKE: 2, PAPER: 3}

    def full(self, column: Column, scale: str, files: Files) -> Experiment:
        assert isinstance(column, Pair)
        full = paper.recipe(
            self.task(path=files.data),
            paper.pool_at(files.pool),
            paper.teacher_file(files.teachers, column.file, column.teacher),
            column.student,
            paper.schedule(paper.STEPS, EVALUATIONS),
            padding=4,
        )
        return paper.shrunk(full, column.teacher) if scale == SMOKE else full

    def dfnd(self, column: Column, full: Experiment) -> Experiment:
        """As published, the teacher is asked about the crops that the student sees."""
        assert isinstance(column, Pair)
        return replace(
            recipes.dfnd(full),
            dropping=NoiseMatrix(accuracy=self.accuracy[column.file]),
            views=Crop(answer="live"),
        )

    def write_smoke_files(self, folder: Path) -> Files:
        files = Files(data=str(folder / "data"), pool=str(folder / "pool"))
        write_cifar(Path(files.data), self.task, self.smoke_records)
        write_pool = write_parquet_pool if self.pool_is_parquet else write_folder_pool
        write_pool(Path(files.pool), POOL_ROWS)
        return files

    def missing(self, column: Column, files: Files) -> Iterator[str]:
        assert isinstance(column, Pair)
        names = (*self.task.train_files, *self.task.test_files)
        yield from paper.missing_data(files.data, names, f"{self.title}'s binary version")
        yield from paper.missing_pool(files.pool, "ImageNet-32, its 1,281,167 training images")
        yield from paper.missing_teacher(files.teachers, column.file)


class Cifar10Table(_Cifar):
    name, title, task = "cifar10", "CIFAR-10", Cifar10
    smoke_records, pool_is_parquet = 20, True
    accuracy: ClassVar[Mapping[str, float]] = {
        "resnet34": 0.9523,
        "vgg11": 0.9225,
        "wrn40-2": 0.9487,
    }


class Cifar100Table(_Cifar):
    name, title, task = "cifar100", "CIFAR-100", Cifar100
    smoke_records, pool_is_parquet = 100, False
    accuracy: ClassVar[Mapping[str, float]] = {
        "resnet34": 0.7774,
        "vgg11": 0.7132,
        "wrn40-2": 0.7583,
    }
