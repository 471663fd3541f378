"""Memory, disk and time of scoring large pools and training a cell from them, as pools grow.

    python benchmarks/million_rows.py [--rows 100000 1000000] [--folder FOLDER]     # 15 minutes

Pools of 32x32 images as raw pixels in Parquet, 10,000 rows a file, are made by the script; a
teacher scores them and one student is trained from each: `platform.ablate` of a study with two
variants, on Ray. Of every process of the command what it holds alone is looked at five times a
second (RssAnon: neither files that are mapped nor Ray's shared memory count). "Beyond imports" is
the peak, less that of the same command on 2,000 rows. Then JPEG files of 224 px are imported as a
pool, beside a bare loop that decodes the same files in as many processes; once more with
`keep_encoded`, and from that pool all rows are read as a cell reads its own.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))  # files like CIFAR's

from cifar_files import write_cifar

from dfkd.data.images.decoding import decode
from dfkd.data.tasks import Cifar10
from dfkd.reporting.console import duration
from dfkd.storage.files import size

ROOT = Path(__file__).parents[1]
ROWS_PER_FILE, FEW = 10_000, 2_000
LOOK_S = 0.2
STUDY = """
from dataclasses import replace
from dfkd import recipes
from dfkd.data.pools import ParquetPool
from dfkd.data.tasks import Cifar10
from dfkd.models.networks import SmallResNet
from dfkd.models.teachers import SupervisedTeacher
from dfkd.studies import Study

base = recipes.digits()
network = SmallResNet(width=8, stem_stride=2)
full = replace(
    base,
    task=Cifar10(path="{task}"),
    pool=ParquetPool(path="{pool}"),
    teacher=SupervisedTeacher(network=network, steps=20),
    student=network,
    schedule=replace(base.schedule, steps=60, evaluations=3),
)
study = Study(
    question="Does memory grow with the pool?",
    variants={{"full": full, "no dropping": replace(full, dropping=None)}},
    baseline="full",
    blocks=2,
)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--encoded", type=int, default=2_000, help="JPEG files of 224 px")
    parser.add_argument("--folder", type=Path, help="where pools are made; they are removed again")
    arguments = parser.parse_args()
    with TemporaryDirectory(dir=arguments.folder) as scratch:
        folder = Path(scratch)
        (folder / "cifar").mkdir()
        write_cifar(folder / "cifar", Cifar10)
        base, _ = ablate(folder, FEW)
        for rows in arguments.rows:
            peaks, said = ablate(folder, rows)
            beyond = {kind: peak - base[kind] for kind, peak in peaks.items() if kind in base}
            print(f"{rows:,} rows: {said}; beyond imports:", flush=True)
            for kind, peak in sorted(beyond.items()):
                print(
                    f"  {kind:<28}{size(max(0, peak)):>9}  (peak {size(peaks[kind])})", flush=True
                )
        if arguments.encoded:
            compare_decoding(folder / "jpeg", arguments.encoded)


def ablate(folder: Path, rows: int) -> tuple[dict[str, int], str]:
    """Run the study on a pool of so many rows.

    Returns the peak of each kind of process, in bytes, and what it took.
    """
    project, pool = folder / f"project-{rows}", folder / f"pool-{rows}"
    project.mkdir()
    write_pool(pool, rows)
    text = STUDY.format(task=folder / "cifar", pool=pool)
    (project / "rows_study.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "platform.ablate", "rows_study", "--storage", "s"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "disabled"}
    began = time.monotonic()
    with (project / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=project, env=environment, stdout=log, stderr=log)
        peaks = watched(process)
    if process.returncode:
        raise RuntimeError((project / "log").read_text()[-3000:])
    took = duration(time.monotonic() - began)
    pool_bytes, ours = bytes_below(pool), bytes_below(project / "s")
    for path in pool.iterdir():
        path.unlink()
    return peaks, f"{took}; pool {size(pool_bytes)}, storage {size(ours)}"


def write_pool(folder: Path, rows: int) -> None:
    """Write images of noise over a plain colour, as raw pixels."""
    folder.mkdir()
    for start in range(0, rows, ROWS_PER_FILE):
        draw, count = np.random.default_rng(start), min(ROWS_PER_FILE, rows - start)
        colour = draw.integers(0, 200, (count, 1, 1, 3))
        images = (colour + draw.integers(0, 56, (count, 32, 32, 3))).astype(np.uint8)
        column = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(images[0].size), count, [None, pa.py_buffer(images.tobytes())]
        )
        pq.write_table(pa.table({"image": column}), folder / f"{start:09d}.parquet")


def watched(process: subprocess.Popen[bytes]) -> dict[str, int]:
    """Return the peak of what processes of each kind hold alone, until the first one ends."""
    peaks = defaultdict[str, int](int)
    while process.poll() is None:
        for number, title in below(process.pid).items():
            kind = "driver" if number == process.pid else title
            peaks[kind] = max(peaks[kind], held_alone(number))
        time.sleep(LOOK_S)
    return {kind: peak for kind, peak in peaks.items() if kind == "driver" or "Ray" in kind}


def below(first: int) -> dict[int, str]:
    """Return a process and all that it started: their numbers, and what they are."""
    parent, title = dict[int, int](), dict[int, str]()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat, words = (folder / "stat").read_text(), (folder / "cmdline").read_text()
        except OSError:
            continue
        parent[int(folder.name)] = int(stat.rsplit(")", 1)[1].split()[1])
        title[int(folder.name)] = "a worker of Ray's" if words.startswith("ray::") else "other"

    def ours(number: int) -> bool:
        return number == first or (number in parent and ours(parent[number]))

    return {number: title[number] for number in parent if ours(number)}


def held_alone(number: int) -> int:
    """Return the bytes of a process's memory that are neither a file's nor shared."""
    try:
        lines = Path(f"/proc/{number}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


def bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def compare_decoding(folder: Path, count: int) -> None:
    """Import JPEG files as a pool, and decode the same ones in a bare loop."""
    folder.mkdir()
    write_jpegs(folder, count)
    cores = os.cpu_count() or 1
    files = sorted(folder.iterdir())
    began = time.monotonic()
    with get_context("spawn").Pool(cores) as pool:
        pool.map(nothing, range(cores))
        ready = time.monotonic()
        pool.map(decode_all, [files[n::cores] for n in range(cores)])
    bare = count / (time.monotonic() - ready)
    code = IMPORT.format(folder=folder, storage=folder.parent / "jpeg-storage")
    told = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "disabled"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(told.stdout.splitlines()[-1])
    print(
        f"{count:,} JPEG of 224 px: bare loop {bare:,.0f} images/s on {cores} cores (started in "
        f"{ready - began:.1f} s); as a pool {count / found['pixels_s']:,.0f} images/s, workers "
        f"warm, {size(found['pixels'])}; kept encoded {count / found['encoded_s']:,.0f} images/s, "
        f"{size(found['encoded'])}, of which cells then read {count / found['read_s']:,.0f} "
        f"images/s on {cores} cores"
    )


IMPORT = """
import json, time
from pathlib import Path
import numpy as np
from dfkd.data.pools import ImageFolder
from dfkd.data.pools.pool_images import ShardImages, gathered
from dfkd.execution.compute import Compute
from dfkd.execution.preparing import _pool, _watchdog
from dfkd.execution.session import session
from dfkd.reporting.console import Console
from dfkd.storage import FolderStorage
compute = Compute(storage=FolderStorage(Path("{storage}")))
console, found = Console(quiet=True), dict()
with session(compute):
    for name, side in (("warm", 32), ("pixels", 224), ("encoded", 224)):
        shape = (side, side, 3)
        pool = ImageFolder(path="{folder}", keep_encoded=name == "encoded")
        began = time.monotonic()
        builder = pool.builder(shape, compute.storage)
        _pool(builder, 0, lambda text: None, _watchdog("the pool", compute, console))
        found[name + "_s"] = time.monotonic() - began
        files = builder.finish()
        found[name] = sum(shard.path.stat().st_size for shard in files.shards)
began = time.monotonic()
gathered(ShardImages(files, shape), np.arange(files.rows))
found["read_s"] = time.monotonic() - began
print(json.dumps(found))
"""


def write_jpegs(folder: Path, count: int) -> None:
    """Write smooth random images as a camera's would be: about 15 kB each."""
    for number in range(count):
        draw = np.random.default_rng(number)
        small = Image.fromarray(draw.integers(0, 256, (28, 28, 3), dtype=np.uint8))
        noise = draw.integers(-12, 13, (224, 224, 3))
        image = np.asarray(small.resize((224, 224), Image.Resampling.BICUBIC)) + noise
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(
            folder / f"{number:06d}.jpg", quality=90
        )


def decode_all(files: Sequence[Path]) -> int:
    """Decode files as the platform does, and drop the images."""
    return sum(decode(path.read_bytes(), (224, 224, 3)).size for path in files)


def nothing(_: int) -> None:
    """Do nothing: whoever does it has started."""


if __name__ == "__main__":
    main()
