"""A mixture pool of a million rows, put in place, scored, packed and selected from.

Seconds and memory of each step.

    python benchmarks/mixture_pool.py [--rows 1000000] [--folder /tmp]

A folder of Parquet (70 %), one of tars (20 %) and one of image files (10 %, one in fifty of them no
image) are written first, of 16x16 noise in squares, and deleted at the end. Each step then runs in
a process of its own, as a Ray task does, one after the other, and its largest resident size
(ru_maxrss) is printed: Python, PyTorch and mapped files included. The teacher is SmallResNet 8
wide, trained for some steps: this measures what a large pool costs, no accuracy.
"""

import argparse
import io
import resource
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

# run from a checkout that is not installed
sys.path.append(str(Path(__file__).resolve().parents[1]))

from dfkd.data.importing.shards import write_shard
from dfkd.data.pools import ImageFolder, MixedPool, ParquetPool, PoolFiles, WebDatasetTars
from dfkd.data.tasks import Digits
from dfkd.method.selection import Balanced, Confident, Random
from dfkd.method.selection.selecting import select
from dfkd.models.networks import SmallResNet
from dfkd.models.teachers import SupervisedTeacher
from dfkd.scores.memory_map import memory_map_key, open_memory_map
from dfkd.seeding import use_deterministic
from dfkd.storage import Storage, open_storage
from dfkd.training.inputs import InputSource, memory_map_of, score_here
from dfkd.training.probe import draw_probe

SHARES = (0.7, 0.2, 0.1)
SPARE = 1.05  # of each kind more files are written than the mixture takes
SHARD, TAR = 10_000, 5_000
SHAPE = (16, 16, 1)
# of each process, whatever the number of rows up to millions: shards are made and read one at a
# time
LIMIT_GB = 1.5
NETWORK = SmallResNet(width=8, stem_stride=2)


def images(seed: int, rows: int) -> np.ndarray:
    """Noise in squares of 4 x 4, so that PNG and zstd have something to do."""
    coarse = np.random.default_rng([0, seed]).integers(0, 256, (rows, 4, 4), np.uint8)
    return coarse.repeat(4, axis=1).repeat(4, axis=2)[..., None]


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image[:, :, 0]).save(file, "PNG", compress_level=1)
    return file.getvalue()


def chunks(rows: int, size: int) -> Iterator[tuple[int, int]]:
    return ((index, min(size, rows - index * size)) for index in range(-(-rows // size)))


def write_sources(folder: Path, rows: int) -> MixedPool:
    parquet, tars, files = (folder / name for name in ("parquet", "tars", "files"))
    counts = [int(rows * share * SPARE) + 60 for share in SHARES]
    for index, count in chunks(counts[0], SHARD):
        row_id = index * SHARD + np.arange(count)
        write_shard(parquet / f"{index:05d}.parquet", row_id, images(index, count))
    tars.mkdir()
    for index, count in chunks(counts[1], TAR):
        with tarfile.open(tars / f"{index:05d}.tar", "w") as tar:
            for i, image in enumerate(images(10_000 + index, count)):
                member, content = tarfile.TarInfo(f"{index:05d}/{i:05d}.png"), png(image)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    for index, count in chunks(counts[2], 1_000):
        (files / f"{index:05d}").mkdir(parents=True)
        for i, image in enumerate(images(20_000 + index, count)):
            (files / f"{index:05d}" / f"{i:03d}.png").write_bytes(
                b"no image" if i % 50 == 7 else png(image)
            )
    pools = (
        ParquetPool(path=str(parquet)),
        WebDatasetTars(path=str(tars)),
        ImageFolder(path=str(files)),
    )
    return MixedPool(pools=pools, shares=SHARES, rows=rows)


def apart(step: Callable[..., Any], *arguments: Any) -> tuple[float, float, Any]:
    """(seconds, gigabytes, result) of a step in a fresh process."""
    with get_context("spawn").Pool(1) as process:
        seconds, gigabytes, result = process.apply(measured, (step, arguments))
    assert gigabytes < LIMIT_GB, f"{step.__name__} took {gigabytes:.2f} GB, more than {LIMIT_GB}"
    return seconds, gigabytes, result


def measured(step: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[float, float, Any]:
    use_deterministic(1)
    started = time.perf_counter()
    result = step(*arguments)
    return (
        time.perf_counter() - started,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        result,
    )


def put_in_place(pool: MixedPool, storage: Storage) -> PoolFiles:
    return pool.files(SHAPE, storage)


def teach(storage: Storage) -> Any:
    return SupervisedTeacher(network=NETWORK, steps=100, batch=64).obtain(Digits(), storage, 0)


def score(source: InputSource, storage: Storage) -> None:
    score_here(source, storage)


def mapped(source: InputSource, storage: Storage) -> None:
    memory_map_of(source, storage)


def choose(source: InputSource, storage: Storage, rule: Any) -> int:
    _, scores = open_memory_map(
        storage.cache_path(memory_map_key(source.teacher.digest, source.pool, source.task)),
        source.pool,
        source.task,
    )
    return len(select(rule, scores, draw_probe(scores).rows_P, 0))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where some 2 GB for each million rows fit")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        run(arguments.rows, Path(name))


def run(rows: int, folder: Path) -> None:
    started = time.perf_counter()
    pool, storage = write_sources(folder, rows), open_storage(folder / "storage")
    print(f"sources written in {time.perf_counter() - started:.0f} s", flush=True)
    print("| step | s | GB |\n|---|--:|--:|")
    files = line("put in place", put_in_place, pool, storage)
    source = InputSource(task=Digits(), teacher=line("teacher", teach, storage), pool=files)
    line("scored", score, source, storage)
    line("packed", mapped, source, storage)
    for rule in (Balanced(ratio=0.1), Confident(ratio=0.1), Random(ratio=0.1)):
        line(f"selected, {type(rule).__name__.lower()}", choose, source, storage, rule)
    assert files.rows == rows, f"{files.rows} rows instead of {rows}"
    again = line("put in place again: found", put_in_place, pool, storage)
    assert again == files
    assert files.set_aside is not None
    print(files.set_aside.line(files.rows).split(": /")[0])


def line(what: str, step: Callable[..., Any], *arguments: Any) -> Any:
    seconds, gigabytes, result = apart(step, *arguments)
    print(f"| {what} | {seconds:.1f} | {gigabytes:.2f} |", flush=True)
    return result


if __name__ == "__main__":
    main()
