"""A node's cache: what it holds is what was written, whoever is killed or damages a file."""

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from leases import ROOT
from object_server import ObjectServer

from dfkd.storage.layout import Key
from dfkd.storage.node_cache import IN_USE_S, NodeCache, node_cache
from dfkd.storage.object_store import ObjectStorage
from dfkd.storage.storage import Damaged

KEY = Key("pools/p/shard.parquet")
CONTENT = bytes(range(256)) * 400


@pytest.fixture
def stored(object_storage: ObjectStorage) -> ObjectStorage:
    object_storage.replace(KEY, lambda path: path.write_bytes(CONTENT))
    return object_storage


def flipped(content: bytes) -> bytes:
    return content[:1000] + bytes([content[1000] ^ 1]) + content[1001:]


def test_a_file_is_fetched_once_and_keeps_its_name(
    stored: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stored.local(KEY)
    assert path.name == KEY.name and path.read_bytes() == CONTENT
    written = path.stat()
    assert stored.local(KEY) == path and path.stat().st_mtime_ns == written.st_mtime_ns
    assert path.stat().st_ino == written.st_ino


def test_another_content_is_fetched_anew(stored: ObjectStorage) -> None:
    stored.local(KEY)
    stored.replace(KEY, lambda path: path.write_bytes(b"another"))
    assert stored.local(KEY).read_bytes() == b"another"


@pytest.mark.parametrize("damage", [flipped, lambda content: content[:-1], lambda content: b""])
def test_what_is_damaged_in_the_cache_is_fetched_again(stored: ObjectStorage, damage) -> None:
    path = stored.local(KEY)
    path.write_bytes(damage(CONTENT))
    assert stored.local(KEY).read_bytes() == CONTENT


def test_a_damaged_note_or_a_lost_file_is_fetched_again(stored: ObjectStorage) -> None:
    path = stored.local(KEY)
    path.with_name(f".{path.name}.note.json").write_text("{")
    assert stored.local(KEY).read_bytes() == CONTENT
    path.unlink()
    assert stored.local(KEY).read_bytes() == CONTENT


def test_what_is_damaged_in_the_store_is_named_in_one_line_and_never_used(
    stored: ObjectStorage, object_server: ObjectServer
) -> None:
    bucket = stored.bucket.removeprefix("s3://")
    object_server.put_behind_its_back(bucket, f"some/runs/{KEY}", flipped(CONTENT))
    for use in (stored.local, stored.get):
        with pytest.raises(Damaged, match=r"shard.parquet does not hold what was") as raised:
            use(KEY)
        assert "\n" not in str(raised.value)
    assert not stored.cache_path(KEY).exists()


def test_processes_that_ask_at_once_fetch_it_once(stored: ObjectStorage) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as processes:
        paths = processes.map(stored.local, [KEY] * 6)
    assert set(paths) == {stored.cache_path(KEY)} and paths[0].read_bytes() == CONTENT
    assert not [
        path for path in node_cache().root.rglob(".*") if path.suffix not in (".json", ".lock")
    ]


KILLED = """
import os, sys
from pathlib import Path
from dfkd.storage.layout import Key
from dfkd.storage.node_cache import node_cache
def download(half, tag):
    half.write_bytes(b"half of it")
    os.kill(os.getpid(), 9)
node_cache().file(Key(sys.argv[1]), download)
"""


def test_a_killed_process_leaves_nothing_that_is_used_and_no_lock(stored: ObjectStorage) -> None:
    name = str(stored.cache_path(KEY).relative_to(node_cache().root))
    killed = subprocess.run([sys.executable, "-c", KILLED, name], cwd=ROOT)
    assert killed.returncode == -9
    [half] = stored.cache_path(KEY).parent.glob(f".{KEY.name}.*[0-9a-f]")
    assert stored.local(KEY).read_bytes() == CONTENT
    os.utime(half, (0, 0))
    node_cache().make_room()
    assert not half.exists() and stored.cache_path(KEY).exists()


def test_what_was_not_asked_for_longest_goes_first(tmp_path: Path) -> None:
    cache = NodeCache(tmp_path / "cache", limit=250)
    paths = [cache.file(Key(f"a/{n}"), lambda half, tag: _made(half, 100)) for n in range(3)]
    cache.folder(Key("packs/p"), lambda half: _made(half / "x", 100), lambda folder: True)
    now = time.time()
    for path, age_s in zip(paths, (3 * IN_USE_S, 4 * IN_USE_S, 0), strict=True):
        os.utime(path.with_name(f".{path.name}.note.json"), (now - age_s, now - age_s))
    cache.make_room()
    assert [path.exists() for path in paths] == [False, False, True]  # in use: over the limit
    assert (tmp_path / "cache" / "packs" / "p" / "x").exists()
    os.utime(tmp_path / "cache" / "packs" / ".p.note.json", (0, 0))
    NodeCache(tmp_path / "cache", limit=1).make_room()
    assert paths[2].exists() and not (tmp_path / "cache" / "packs" / "p").exists()


def _made(path: Path, size: int):
    from dfkd.storage.node_cache import Download

    path.write_bytes(b"x" * size)
    return Download(tag="t", digest="d")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DFKD_CACHE_GB", "many", "DFKD_CACHE_GB must be a number of gigabytes above 0"),
        ("DFKD_CACHE_GB", "0", "DFKD_CACHE_GB must be a number"),
        ("DFKD_CACHE", "/proc/none", "the node's cache /proc/none cannot be used"),
    ],
)
def test_a_cache_that_cannot_be_is_one_line(
    stored: ObjectStorage, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=said) as raised:
        stored.local(KEY)
    assert "\n" not in str(raised.value)
