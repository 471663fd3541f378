"""Rejects are what no image of a pool could be made from; too large a share of them stops a run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dfkd.storage import StoredFile

Reject = tuple[str, str, str]  # name, reason, detail
SCHEMA = pa.schema([("name", pa.string()), ("reason", pa.string()), ("detail", pa.string())])
# Set aside without anything being wrong: no part of the share that stops a run
EXPECTED = ("another kind of file", "duplicate")


@dataclass(frozen=True)
class SetAside:
    """What cannot be used of a pool: a table with name, reason and detail, and counts by reason.

    note: what else people should know of the images, in words that begin with ";"; mostly "".
    """

    file: StoredFile
    counts: tuple[tuple[str, int], ...]
    note: str = ""

    @property
    def path(self) -> Path:
        """Where the table can be read on this machine."""
        return self.file.path

    def line(self, rows: int) -> str:
        """Return a line for people; rows: those that are used."""
        if not self.counts:
            return f"pool: {rows} images, none set aside{self.note}"
        return (
            f"pool: {rows} images, {sum(count for _, count in self.counts)} set aside "
            f"({self.why}): {self.file}{self.note}"
        )

    @property
    def why(self) -> str:
        """The reasons with their counts, in words."""
        return ", ".join(f"{count} {reason}" for reason, count in self.counts)

    def check(self, rows: int, most_rejected: float) -> None:
        """Raise ValueError where there are no rows, or more than this share of images is wrong."""
        bad = sum(count for reason, count in self.counts if reason not in EXPECTED)
        if rows and bad <= most_rejected * (bad + rows):
            return
        if not self.counts:
            raise ValueError(
                "a pool must have images, but got none where it lies: mend its path, or fill it"
            )
        rule = f"more than {most_rejected=:g} allows" if rows else "so there is no image"
        said = f"{bad} of the {bad + rows} images of the pool cannot be used, {rule}"
        if not bad:
            said = "there is no image among the files of the pool"
        raise ValueError(
            f"{said} ({self.why}): {self.file} names each; mend them, or name another pool"
        )


def write_rejects(file: StoredFile, rejects: Sequence[Reject]) -> None:
    """Write a table of rejects, whole or not at all."""
    file.replace(lambda half: pq.write_table(_table(rejects), half))


def join_rejects(
    file: StoredFile, parts: Iterable[StoredFile], more: Sequence[Reject] = ()
) -> None:
    """Write several tables and some rows more as one, table by table: there may be millions."""

    def write(half: Path) -> None:
        with pq.ParquetWriter(half, SCHEMA, compression="zstd") as writer:
            for part in parts:
                writer.write_table(pq.read_table(part.path))
            writer.write_table(_table(more))

    file.replace(write)


def _table(rejects: Sequence[Reject]) -> pa.Table:
    columns = list(zip(*rejects, strict=True)) if rejects else [(), (), ()]
    return pa.table([pa.array(column, pa.string()) for column in columns], schema=SCHEMA)
