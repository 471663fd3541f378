"""All tables by name."""

from collections.abc import Mapping

from dfkd.reporting.nearest import nearest
from dfkd.reproduction.cifar import Cifar10Table, Cifar100Table
from dfkd.reproduction.imagenet import ImageNetTable
from dfkd.reproduction.small_tasks import DigitsTable, FashionTable
from dfkd.reproduction.table import Table

ALL: tuple[Table, ...] = (
    Cifar10Table(),
    Cifar100Table(),
    ImageNetTable(),
    FashionTable(),
    DigitsTable(),
)
TABLES: Mapping[str, Table] = {table.name: table for table in ALL}


def table_of(name: str) -> Table:
    """Return the table of this name. Raises ValueError with the nearest names for another one."""
    if name not in TABLES:
        raise ValueError(f"there is no table {name!r}: {nearest(name, TABLES)}")
    return TABLES[name]


def check_scale(table: Table, scale: str) -> None:
    """Raise ValueError for a scale that the table has not, with those that it has."""
    if scale not in table.blocks:
        raise ValueError(
            f"the table {table.name} has no scale {scale!r}: say --scale "
            f"{' or --scale '.join(table.blocks)}"
        )
