"""Pools in the state in which they are found: every file is read or set aside with a reason, and none harms."""

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from commands import environment
from hostile_files import write

from dfkd.data.image_folder import ImageFolder
from dfkd.data.pools import PoolFiles

SHAPE = (16, 16, 3)
MEMORY_MB = 700  # above a process that has imported the pools: 16 bytes for each of 50 million pixels is 800 at most


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> tuple[Path, dict[bytes, str], Path]:
    folder = tmp_path_factory.mktemp("hostile")
    return folder / "in", write(folder / "in", folder / "sprung"), folder / "sprung"


IMPORTED_APART = """
import resource, sys
from pathlib import Path
from dfkd.data.image_folder import ImageFolder
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before = peak()
pool = ImageFolder(path=sys.argv[1]).files((16, 16, 3), Path(sys.argv[2]))
print(pool.rows, peak() - before)
"""


def test_of_300_hostile_files_none_is_lost_and_memory_is_bounded(hostile, tmp_path):
    folder, expected, sprung = hostile
    assert len(expected) == 300
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED_APART, str(folder), str(tmp_path)],
        env=environment(), text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")  # no traceback, no warning
    assert int(done.stdout.split()[1]) < MEMORY_MB, done.stdout
    files = ImageFolder(path=str(folder)).files(SHAPE, tmp_path)
    found = fate(files)
    told = {name.decode("utf-8", "backslashreplace"): reason for name, reason in expected.items()}
    assert found.keys() == told.keys()
    unlike = {name: (found[name], reason) for name, reason in told.items() if reason not in (found[name], "?")}
    assert unlike == {}
    assert not sprung.exists()


def fate(files: PoolFiles) -> dict[str, str]:
    """Name -> reason, "" for what is a row of the pool. Each name once."""
    rows = [name for shard in files.shards for name in pq.read_table(shard.path)["name"].to_pylist()]
    rejects = pq.read_table(files.set_aside.path).to_pylist()
    assert len({*rows, *(reject["name"] for reject in rejects)}) == len(rows) + len(rejects)
    return dict.fromkeys(rows, "") | {reject["name"]: reject["reason"] for reject in rejects}
