"""ImageNet with a folder of Flickr's images, from ResNet-50 to three students."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from dfkd.data.tasks import ImageNetFolder
from dfkd.experiment import Experiment, recipes
from dfkd.method.dropping import NoiseMatrix
from dfkd.models.networks import Torchvision
from dfkd.models.teachers import TorchvisionWeights
from dfkd.reproduction import paper
from dfkd.reproduction.smoke_files import write_folder_pool, write_imagenet
from dfkd.reproduction.table import EVALUATIONS, PAPER, SMOKE, Column, Files, Table

TEACHER = Torchvision(name="resnet50")
WEIGHTS, ACCURACY = "IMAGENET1K_V1", 0.7613  # accuracy: as torchvision's own description has it
STEPS = 234_000  # 100 epochs of the selected rows: ours, no source at hand has the budget
SMALL_SIDE, SMALL_PADDED = 32, 36


@dataclass(frozen=True, kw_only=True)
class Student(Column):
    """A column with its student; the teacher is torchvision's ResNet-50."""

    network: Torchvision


class ImageNetTable(Table):
    name, title = "imagenet", "ImageNet"
    columns: ClassVar[tuple[Student, ...]] = (
        Student(
            name="r50-r18", title="ResNet-50 -> ResNet-18", network=Torchvision(name="resnet18")
        ),
        Student(
            name="r50-mobilenet",
            title="ResNet-50 -> MobileNet-v2",
            network=Torchvision(name="mobilenet_v2"),
        ),
        Student(name="r50-r50", title="ResNet-50 -> ResNet-50", network=TEACHER),
    )
    blocks: ClassVar[Mapping[str, int]] = {SMOKE: 2, PAPER: 3}

    def full(self, column: Column, scale: str, files: Files) -> Experiment:
        assert isinstance(column, Student)
        full = paper.recipe(
            ImageNetFolder(path=files.data),
            paper.pool_at(files.pool),
            TorchvisionWeights(network=TEACHER, weights=WEIGHTS),
            column.network,
            paper.schedule(STEPS, EVALUATIONS),
            padding=28,
        )
        if scale != SMOKE:
            return full
        small = ImageNetFolder(
            path=files.data, image_shape=(SMALL_SIDE, SMALL_SIDE, 3), shorter_side=SMALL_PADDED
        )
        return replace(paper.shrunk(full, TEACHER), task=small)

    def dfnd(self, column: Column, full: Experiment) -> Experiment:
        """The diagonal is the teacher's accuracy as published; there are no validation labels."""
        return replace(recipes.dfnd(full), dropping=NoiseMatrix(accuracy=ACCURACY))

    def missing(self, column: Column, files: Files) -> Iterator[str]:
        yield from paper.missing_data(files.data, ("train", "val"), "ImageNet-1k's folders")
        yield from paper.missing_pool(files.pool, "Flickr's images, a million or so")

    def write_smoke_files(self, folder: Path) -> Files:
        files = Files(data=str(folder / "data"), pool=str(folder / "pool"))
        write_imagenet(Path(files.data))
        write_folder_pool(Path(files.pool), rows=96)
        return files
