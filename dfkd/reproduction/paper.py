"""What the tables have in common at the paper's scale: recipe, pool, teacher files."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

from dfkd.data.images.transforms import Crop
from dfkd.data.pools import ImageFolder, ParquetPool, Pool
from dfkd.data.tasks import Task
from dfkd.experiment import Experiment, Schedule
from dfkd.method.dropping import Tail
from dfkd.method.losses import KD, PooledFeatures, Similarity
from dfkd.method.selection import Balanced
from dfkd.models.networks import Network
from dfkd.models.teachers import SupervisedTeacher, Teacher, TeacherFile
from dfkd.storage.variables import expanded

ROWS = 600_000  # that DFND selects of ImageNet's 1.28 million
STEPS = 77_000  # of 256 images: DFND's 19.8 million
ENDINGS = (".safetensors", ".pt", ".pth")


def recipe(
    task: Task, pool: Pool, teacher: Teacher, student: Network, schedule: Schedule, padding: int
) -> Experiment:
    """Return the full method; losses and dropping are our reading, at weights of our choice."""
    return Experiment(
        task=task,
        pool=pool,
        teacher=teacher,
        student=student,
        selection=Balanced(rows=ROWS),
        dropping=Tail(rate=0.5),
        kd=KD(temperature=4.0),
        explicit=PooledFeatures(weight=1.0),
        implicit=Similarity(weight=1.0),
        views=Crop(padding=padding),
        schedule=schedule,
    )


def schedule(steps: int, evaluations: int) -> Schedule:
    """Return DFND's optimizer with a cosine in the place of its two steps."""
    return Schedule(
        steps=steps,
        batch=256,
        learning_rate=0.1,
        weight_decay=5e-4,
        optimizer="sgd",
        decay="cosine",
        evaluations=evaluations,
    )


def shrunk(full: Experiment, network: Network) -> Experiment:
    """Return the same recipe so small that it runs in seconds; teacher: trained here in 2 steps."""
    return replace(
        full,
        teacher=SupervisedTeacher(network=network, steps=2, batch=4),
        selection=replace(cast(Balanced, full.selection), rows=48),
        schedule=replace(full.schedule, steps=4, batch=4, learning_rate=0.01, evaluations=2),
    )


def pool_at(path: str) -> Pool:
    """Return the pool of a folder: Parquet where it has such files, else images."""
    if not path:  # nobody has named it yet: what it costs can be said all the same
        return ParquetPool(path="pool")
    parquet = any(expanded(path).glob("*.parquet"))
    return ParquetPool(path=path) if parquet else ImageFolder(path=path)


def teacher_file(folder: str, name: str, network: Network) -> TeacherFile:
    """Return the teacher that lies in a folder by the name of its network."""
    return TeacherFile(path=str(_found(folder, name) or Path(folder, name)), network=network)


def missing_teacher(folder: str, name: str) -> Iterator[str]:
    """Yield what to put where, if the teacher's file is not there."""
    if _found(folder, name) is None:
        where = folder or "a folder named with --teachers"
        yield f"{name}{ENDINGS[0]} (or {', '.join(ENDINGS[1:])}), the teacher's weights, in {where}"


def missing_pool(path: str, what: str) -> Iterator[str]:
    """Yield what to put where, if there is no folder of the pool."""
    if not path or not expanded(path).is_dir():
        yield f"{what}, as Parquet or image files, in {path or 'a folder named with --pool'}"


def missing_data(path: str, names: tuple[str, ...], what: str) -> Iterator[str]:
    """Yield what to put where, if a file or folder of the task is not there."""
    folder = expanded(path)
    if not path or not all((folder / name).exists() for name in names):
        yield f"{what} ({', '.join(names)}) in {path or 'a folder named with --data'}"


def _found(folder: str, name: str) -> Path | None:
    paths = [expanded(folder) / f"{name}{ending}" for ending in ENDINGS]
    return next((path for path in paths if folder and path.is_file()), None)
