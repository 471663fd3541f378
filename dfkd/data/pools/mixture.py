"""Mixtures as pools: so many rows of each of several pools, whatever these are made of.

N rows, M rows of a member's shard, S its shards.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dfkd.data.importing.builder import PoolBuilder
from dfkd.data.importing.columns import read_row_ids
from dfkd.data.importing.rejects import SetAside, join_rejects
from dfkd.data.importing.shards import ImageShape, PoolFiles, Shard, write_shard, written_shard
from dfkd.data.pools.glyphs import Glyphs
from dfkd.data.pools.parquet_pool import ParquetPool
from dfkd.data.pools.pool import BasePool, Pool
from dfkd.identity import name_of
from dfkd.storage import Storage, layout


@dataclass(frozen=True, kw_only=True)
class MixedPool(BasePool):
    """Draws `rows` images from several pools, from each its share, without replacement.

        MixedPool(pools=(a, b), shares=(0.7, 0.3), rows=10_000)

    Counts are exact: shares times rows, what is left over by rounding to those that lost most by
    it.
    Order: the pools one after the other, each as it is. Row ids: a hash of the pool's place in the
    mixture and its own row id; the columns `member` and `member_row_id` tell where a row is from. A
    block's draw is every pool's, and the choice's.
    Range: shares above 0 that add up to 1; a pool with fewer rows than its share is refused, no row
    is taken twice.
    Interplay: a pool may be a mixture. The same images in two pools are two rows: duplicates are
    found within each.
    """

    version: ClassVar[int] = 1
    pools: tuple[Pool, ...]
    shares: tuple[float, ...]
    rows: int

    @classmethod
    def example(cls) -> Self:
        pools = (Glyphs(), ParquetPool(path="folder"))
        return cls(pools=pools, shares=(0.75, 0.25), rows=20_000)

    def __post_init__(self) -> None:
        if not self.pools or len(self.pools) != len(self.shares):
            raise ValueError(
                f"a mixture needs a share for each pool, but got {len(self.pools)} pools, "
                f"shares={self.shares!r}"
            )
        if min(self.shares) <= 0 or not math.isclose(sum(self.shares), 1, abs_tol=1e-6):
            raise ValueError(
                f"shares must be above 0 and add up to 1, but got shares={self.shares!r}"
            )
        if self.rows < len(self.pools):
            raise ValueError(
                f"rows must be {len(self.pools)} or more, one for each pool, but got {self.rows}"
            )

    @property
    def counts(self) -> tuple[int, ...]:
        """How many rows come from each pool."""
        exact = [share * self.rows / sum(self.shares) for share in self.shares]
        counts = [int(value + 1e-9) for value in exact]
        by_loss = sorted(range(len(exact)), key=lambda i: (counts[i] - exact[i], i))
        for i in by_loss[: self.rows - sum(counts)]:
            counts[i] += 1
        return tuple(counts)

    def check(self, image_shape: ImageShape) -> None:
        """Raise ValueError as any of the pools does."""
        for pool in self.pools:
            pool.check(image_shape)

    def builder(self, image_shape: ImageShape, storage: Storage, draw: int = 0) -> MixtureBuilder:
        members = tuple(pool.builder(image_shape, storage, draw) for pool in self.pools)
        return MixtureBuilder(self, members, image_shape, storage.below(layout.mixtures()), draw)


@dataclass(frozen=True)
class Taking:
    """The rows of one member's shard that go into the mixture."""

    member: int
    shard: Shard
    place_M: NDArray[np.int64]

    @property
    def file(self) -> str:
        """The name of the shard that they become."""
        told_apart = hashlib.sha256(
            f"{MixedPool.version} {self.member} {self.shard.digest}".encode()
        )
        told_apart.update(self.place_M.astype("<i8").tobytes())
        return layout.part_shard(told_apart.hexdigest()[:24])


@dataclass(frozen=True)
class MixtureBuilder(PoolBuilder):
    """Builds the members, round by round beside one another, then the mixture."""

    pool: MixedPool
    members: tuple[PoolBuilder, ...]
    image_shape: ImageShape
    folder: Storage
    draw: int

    def rounds(self) -> Iterator[Sequence[tuple[int, Any] | Taking]]:
        for todo in zip_longest(*(member.rounds() for member in self.members), fillvalue=()):
            yield [(index, one) for index, of_member in enumerate(todo) for one in of_member]
        there = set(self.folder.list(layout.ROOT))
        yield [taking for taking in self._plan(self._member_files()) if taking.file not in there]

    def make(self, step: tuple[int, Any] | Taking) -> None:
        if isinstance(step, Taking):
            self._take(step)
        else:
            self.members[step[0]].make(step[1])

    def sample(self, most: int) -> NDArray[np.uint8]:
        counts, rows = self.pool.counts, self.pool.rows
        few = [m.sample(-(-most * n // rows)) for m, n in zip(self.members, counts, strict=True)]
        return np.concatenate(few)

    def finish(self) -> PoolFiles:
        """Return the pool. ValueError in one line where a member has too few rows."""
        members = self._member_files()
        plan = self._plan(members)
        shards = tuple(written_shard(self.folder.file(taking.file)) for taking in plan)
        _check_ids(shards)
        return PoolFiles(shards, self._set_aside(members))

    def _member_files(self) -> list[PoolFiles]:
        return [member.files() for member in self.members]

    def _plan(self, members: list[PoolFiles]) -> list[Taking]:
        plan = []
        for index, (files, count) in enumerate(zip(members, self.pool.counts, strict=True)):
            self._check_rows(index, files.rows)
            chosen_N = _chosen(files.rows, count, [self.pool.version, self.draw, index])
            start_S = np.cumsum([0, *(shard.rows for shard in files.shards)])
            for shard, start, stop in zip(files.shards, start_S, start_S[1:], strict=False):
                place_M = (
                    chosen_N[np.searchsorted(chosen_N, start) : np.searchsorted(chosen_N, stop)]
                    - start
                )
                if len(place_M):
                    plan.append(Taking(index, shard, place_M))
        return plan

    def _check_rows(self, index: int, rows: int) -> None:
        if rows < self.pool.counts[index]:
            raise ValueError(
                f"pool {index} of the mixture, {name_of(self.pool.pools[index])}, must have "
                f"{self.pool.counts[index]} rows, but got {rows}: lower its share or rows, here to "
                f"{int(rows / self.pool.shares[index])} at most"
            )

    def _take(self, taking: Taking) -> None:
        row_id_M, images_MHWC = taking.shard.read(self.image_shape)
        own_id_M = row_id_M[taking.place_M]
        columns = {
            "member": pa.array(np.full(len(own_id_M), taking.member, np.int16)),
            "member_row_id": pa.array(own_id_M),
        }
        images_MHWC = images_MHWC[taking.place_M]
        write_shard(
            self.folder.file(taking.file),
            mixed_ids(taking.member, own_id_M),
            images_MHWC,
            columns=columns,
        )

    def _set_aside(self, members: list[PoolFiles]) -> SetAside | None:
        """Return what all imported members set aside, in one table."""
        found = [files.set_aside for files in members if files.set_aside is not None]
        if not found:
            return None
        name = hashlib.sha256("".join(str(one.file) for one in found).encode()).hexdigest()[:20]
        file = self.folder.file(layout.pool_rejects(name))
        if not file.exists():
            join_rejects(file, [one.file for one in found])
        counts: dict[str, int] = {}
        for reason, count in (pair for one in found for pair in one.counts):
            counts[reason] = counts.get(reason, 0) + count
        return SetAside(file, tuple(sorted(counts.items())))


def mixed_ids(member: int, row_id_M: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 63 bits of the Splitmix64 of (member, row id); in one member all but one to one."""
    step = (int(member) + 1) * 0x9E3779B97F4A7C15 % 2**64
    mixed_M = row_id_M.astype(np.uint64) + np.uint64(step)  # wraps around, as it should
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed_M = (mixed_M ^ (mixed_M >> np.uint64(shift))) * np.uint64(factor)
    return ((mixed_M ^ (mixed_M >> np.uint64(31))) >> np.uint64(1)).astype(np.int64)


def _chosen(rows: int, count: int, seed: list[int]) -> NDArray[np.int64]:
    """Return `count` sorted places of `rows`, by uniform draws.

    NumPy may change `choice` between versions.
    """
    if count == rows:
        return np.arange(rows)
    keys_N = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed))).random(rows)
    return np.sort(np.argpartition(keys_N, count)[:count])


def _check_ids(shards: Sequence[Shard]) -> None:
    """Raise ValueError where two rows have one id, as happens in one of many mixtures.

    Two ids of 63 bits are equal in one of 10,000 mixtures of 40 million rows.
    """
    row_id_N = np.concatenate([read_row_ids(shard.path) for shard in shards])
    row_id_N.sort()
    if (row_id_N[1:] == row_id_N[:-1]).any():
        raise ValueError(
            "row ids of a mixture must be unique, but two of its rows have the same one by chance: "
            "take another number of rows, or the pools in another order"
        )
