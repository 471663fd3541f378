"""What a table costs at the paper's scale, by arithmetic, before anything is read or computed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dfkd.data.pools import TrainingImages
from dfkd.data.tasks import Cifar10, Cifar100
from dfkd.experiment import Cell, Experiment
from dfkd.models.networks import CifarResNet
from dfkd.models.networks.operations import operations
from dfkd.planning.volume import need_of
from dfkd.studies import Study
from dfkd.training.inputs import inputs_key

# docs/measured.md: ResNet-18 as the student of ResNet-34, cached answers, bfloat16, one H200
MEASURED = 47_700  # images a second
BASIS = (
    "by operations, from the 47,700 images a second of ResNet-18 that were measured in bfloat16 on "
    "one H200; small students, other GPUs and float32 take longer"
)
SHAPE = (32, 32, 3)
PASSES = 3  # of a trained network: forward, and backward twice as much
POOL_ROWS = 1_281_167  # ImageNet's, and about those of Flickr's pool
TASK_ROWS: Mapping[type, int] = {Cifar10: 50_000, Cifar100: 50_000}


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What the cells of some studies cost, each counted once. bytes: pools, scores, maps."""

    cells: int
    device_hours: float
    bytes: int


def cost_of(studies: Iterable[Study]) -> Cost:
    """Return what these studies cost. Teachers are given, and data are there already."""
    cells = {
        (cell.experiment.fingerprint(), cell.block): cell
        for study in studies
        for cell in study.cells().values()
    }
    sources = {inputs_key(cell): cell for cell in cells.values()}
    seconds = sum(_seconds(cell.experiment) for cell in cells.values())
    seconds += sum(_scoring_seconds(cell.experiment) for cell in sources.values())
    return Cost(
        cells=len(cells),
        device_hours=seconds / 3600,
        bytes=sum(_bytes(cell) for cell in sources.values()),
    )


def _seconds(e: Experiment) -> float:
    task, images = e.task, e.schedule.steps * e.schedule.batch
    each = PASSES * operations(e.student, task.classes, task.image_shape)
    if e.asks_teacher:
        each += operations(e.teacher.network, task.classes, task.image_shape)
    return images * each / _rate()


def _scoring_seconds(e: Experiment) -> float:
    each = operations(e.teacher.network, e.task.classes, e.task.image_shape)
    return _rows(e) * each / _rate()


def _rate() -> float:
    """Return operations a second."""
    return MEASURED * PASSES * operations(CifarResNet(depth=18), 10, SHAPE)


def _rows(e: Experiment) -> int:
    if isinstance(e.pool, TrainingImages):
        return TASK_ROWS.get(type(e.task), POOL_ROWS)
    return POOL_ROWS


def _bytes(cell: Cell) -> int:
    """Return the bytes of the shards, the scores and the memory map of a pool."""
    need = need_of(cell, _rows(cell.experiment))
    return need.rows * need.pixels + need.scores + need.memory_map
