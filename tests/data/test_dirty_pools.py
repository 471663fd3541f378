"""Pools in the state in which they are found: every file is read or set aside, and none harms."""

import gzip
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from commands import environment
from hostile_files import encoded, photo, write

from dfkd.data.importing.places import place_of, walk
from dfkd.data.pools import PoolFiles, WebDatasetTars
from dfkd.data.pools.image_folder import ImageFolder
from dfkd.storage import FolderStorage

SHAPE = (16, 16, 3)
# above a process that has imported the pools; 37 were measured, one bomb of 64 megapixels takes
# more
MEMORY_MB = 200


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> tuple[Path, dict[bytes, str], Path]:
    folder = tmp_path_factory.mktemp("hostile")
    return folder / "in", write(folder / "in", folder / "sprung"), folder / "sprung"


IMPORTED_APART = """
import resource, sys
from pathlib import Path
from dfkd.data.pools.image_folder import ImageFolder
from dfkd.storage import FolderStorage
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before = peak()
pool = ImageFolder(path=sys.argv[1]).files((16, 16, 3), FolderStorage(Path(sys.argv[2])))
print(pool.rows, peak() - before)
"""


def test_of_300_hostile_files_none_is_lost_and_memory_is_bounded(hostile, tmp_path):
    folder, expected, sprung = hostile
    assert len(expected) == 300
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED_APART, str(folder), str(tmp_path)],
        env=environment(),
        text=True,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")  # no traceback, no warning
    assert int(done.stdout.split()[1]) < MEMORY_MB, done.stdout
    files = ImageFolder(path=str(folder)).files(SHAPE, FolderStorage(tmp_path))
    found = fate(files)
    told = {name.decode("utf-8", "backslashreplace"): reason for name, reason in expected.items()}
    assert found.keys() == told.keys()
    unlike = {
        name: (found[name], reason)
        for name, reason in told.items()
        if reason not in (found[name], "?")
    }
    assert unlike == {}
    assert not sprung.exists()


def fate(files: PoolFiles) -> dict[str, str]:
    """Name -> reason, "" for what is a row of the pool. Each name once."""
    rows = [
        name for shard in files.shards for name in pq.read_table(shard.path)["name"].to_pylist()
    ]
    rejects = pq.read_table(files.set_aside.path).to_pylist()
    assert len({*rows, *(reject["name"] for reject in rejects)}) == len(rows) + len(rejects)
    return dict.fromkeys(rows, "") | {reject["name"]: reject["reason"] for reject in rejects}


def test_the_same_hostile_tree_in_a_tar_is_the_same_pool(hostile, tmp_path):
    folder, _, sprung = hostile
    tree = ImageFolder(path=str(folder)).files(SHAPE, FolderStorage(tmp_path))
    for kind in ("tar", "tar.gz"):
        pack(folder, tmp_path / kind / f"0.{kind}")
        tars = WebDatasetTars(path=str(tmp_path / kind)).files(SHAPE, FolderStorage(tmp_path))
        assert tars.digest == tree.digest
        assert fate(tars) == fate(tree)
    assert not sprung.exists()


def pack(folder: Path, path: Path) -> None:
    """In the order in which the folder is read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as tar:
        for entry in walk(place_of(str(folder))):
            tar.add(folder / os.fsdecode(entry.name), arcname=f"./{os.fsdecode(entry.name)}")


@pytest.fixture
def some(tmp_path) -> Path:
    """Twelve good images."""
    folder = tmp_path / "some"
    folder.mkdir()
    for i in range(12):
        (folder / f"{i:02d}.png").write_bytes(encoded(photo(i), "PNG"))
    return folder


@pytest.mark.parametrize(
    ("harm", "read"),
    [
        (lambda tar: tar[: tar.index(b"05.png") + 900], 5),  # cut off within an image
        (lambda tar: tar[: tar.index(b"05.png") - 2], 5),  # cut off before a header
        (lambda tar: tar.replace(b"05.png", b"05.xxx"), 5),  # a header's checksum is wrong
        # no end mark
        (
            lambda tar: tar[: tar.rindex(b"IEND") + 8] + b"\0" * (-(tar.rindex(b"IEND") + 8) % 512),
            12,
        ),
        (lambda tar: b"", 0),
        (lambda tar: b"not a tar" * 999, 0),
        (lambda tar: gzip.compress(tar)[:-2000], range(1, 12)),
    ],
)
def test_of_a_damaged_tar_what_stands_before_the_damage_is_read(some, tmp_path, harm, read):
    (tmp_path / "tars").mkdir()
    pack(some, tmp_path / "whole.tar")
    whole = (tmp_path / "whole.tar").read_bytes()
    (tmp_path / "tars" / "a.tar").write_bytes(harm(whole))
    (some / "one.png").write_bytes(encoded(photo(99), "PNG"))
    pack(some, tmp_path / "tars" / "b.tar")
    pool = WebDatasetTars(path=str(tmp_path / "tars"), unique_names=False, most_rejected=1)
    found = fate(pool.files(SHAPE, FolderStorage(tmp_path)))
    count = sum(reason == "" for name, reason in found.items() if name.startswith("a.tar"))
    assert count in (read if isinstance(read, range) else (read,))
    assert "truncated or damaged" in [
        reason for name, reason in found.items() if name.startswith("a.tar")
    ]
    assert (
        sum(
            reason in ("", "duplicate")
            for name, reason in found.items()
            if name.startswith("b.tar")
        )
        == 13
    )


def test_a_tar_of_links_and_of_an_endless_name_harms_nobody(some, tmp_path):
    (tmp_path / "tars").mkdir()
    with tarfile.open(tmp_path / "tars" / "a.tar", "w") as tar:
        tar.add(some, arcname="")
        for kind, name in (
            (tarfile.SYMTYPE, "link.png"),
            (tarfile.LNKTYPE, "hard.png"),
            (tarfile.FIFOTYPE, "pipe.png"),
        ):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, "../../etc/passwd"
            tar.addfile(link)
    endless = tarfile.TarInfo("x")
    endless.type, endless.size = tarfile.GNUTYPE_LONGNAME, 2**33
    (tmp_path / "tars" / "b.tar").write_bytes(endless.tobuf() + bytes(99999))
    found = fate(WebDatasetTars(path=str(tmp_path / "tars")).files(SHAPE, FolderStorage(tmp_path)))
    assert [name for name, reason in found.items() if reason == "not a file"] == [
        "link.png",
        "hard.png",
        "pipe.png",
    ]
    assert found["b.tar"] == "truncated or damaged"
    assert sum(reason == "" for reason in found.values()) == 12


def test_tars_that_number_their_members_anew(some, tmp_path):
    for name, shift in (("a", 0), ("b", 50)):
        for i in range(12):
            (some / f"{i:02d}.png").write_bytes(encoded(photo(i + shift), "PNG"))
        pack(some, tmp_path / "tars" / f"{name}.tar")
    path = str(tmp_path / "tars")
    twice = WebDatasetTars(path=path).files(SHAPE, FolderStorage(tmp_path))
    assert (twice.rows, twice.set_aside.counts) == (12, (("row id met before", 12),))
    assert (
        WebDatasetTars(path=path, unique_names=False).files(SHAPE, FolderStorage(tmp_path)).rows
        == 24
    )
