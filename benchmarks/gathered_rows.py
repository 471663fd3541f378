"""The rows of one cell gathered from a pool of a hundred thousand and of a million images.

Seconds, bytes and memory, each in a process of its own.

    python benchmarks/gathered_rows.py [--rows 100000 1000000] [--ratio 0.1] [--folder /tmp]

The pool is 32x32x3 noise in squares, in shards of 10,000 rows as pools have them; it is deleted at
the end. Memory is the peak of RssAnon in /proc/self/status, sampled 200 times a second, above what
it was after the imports: what a process holds by itself, without mapped files, which the kernel
takes back. Only the images' way into a cell is measured: no scoring, no training.
"""

import argparse
import sys
import tempfile
import threading
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np

# run from a checkout that is not installed
sys.path.append(str(Path(__file__).resolve().parents[1]))

from dfkd.data.importing.shards import PoolFiles, write_shard
from dfkd.data.pools.pool_images import ShardImages, gathered
from dfkd.storage.files import size

SHARD, SHAPE, BATCH, STEPS = 10_000, (32, 32, 3), 256, 400


def write_pool(folder: Path, rows: int) -> PoolFiles:
    shards = []
    for index, start in enumerate(range(0, rows, SHARD)):
        row_id = np.arange(start, min(start + SHARD, rows))
        coarse = np.random.default_rng([0, index]).integers(
            0, 256, (len(row_id), 8, 8, 3), np.uint8
        )
        images = coarse.repeat(4, axis=1).repeat(4, axis=2)
        shards.append(write_shard(folder / f"{index:05d}.parquet", row_id, images))
    return PoolFiles(tuple(shards))


def anonymous() -> int:
    """Return this process's RssAnon in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


class Peak:
    """Samples RssAnon while its block runs."""

    def __enter__(self) -> "Peak":
        self.before = self.most = anonymous()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def _watch(self) -> None:
        while not self.ended.wait(0.005):
            self.most = max(self.most, anonymous())

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()

    @property
    def above(self) -> int:
        return self.most - self.before


def gather(pool: PoolFiles, ratio: float) -> tuple[float, float, int]:
    """Return seconds of gathering, batches read a second afterwards, and the peak in bytes."""
    draw = np.random.default_rng(1)
    rows_M = np.sort(draw.choice(pool.rows, int(ratio * pool.rows), replace=False))
    with Peak() as peak:
        started = time.perf_counter()
        images = gathered(ShardImages(pool, SHAPE), rows_M)
        ready = time.perf_counter()
        for _ in range(STEPS):
            images[draw.choice(rows_M, BATCH)]
        ended = time.perf_counter()
    return ready - started, STEPS * BATCH / (ended - ready), peak.above


def measure(folder: Path, rows: int, ratio: float) -> None:
    pool = write_pool(folder, rows)
    on_disk = sum(shard.path.stat().st_size for shard in pool.shards)
    with get_context("spawn").Pool(1) as process:
        seconds, read, peak = process.apply(gather, (pool, ratio))
    taken = int(ratio * rows) * int(np.prod(SHAPE))
    print(
        f"| {rows:,} | {size(rows * int(np.prod(SHAPE)))} | {size(on_disk)} | {size(taken)} "
        f"| {seconds:.1f} | {size(peak)} | {read:,.0f} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--ratio", type=float, default=0.1, help="of the rows that the cell takes")
    parser.add_argument("--folder", type=Path, help="where the shards fit")
    given = parser.parse_args()
    print("| rows | pixels | shards | gathered | s | anonymous memory | images/s read again |")
    print("|--:|--:|--:|--:|--:|--:|--:|", flush=True)
    for rows in given.rows:
        with tempfile.TemporaryDirectory(dir=given.folder) as name:
            measure(Path(name), rows, given.ratio)


if __name__ == "__main__":
    main()
