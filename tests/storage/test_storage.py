"""What every storage promises, shown on a folder and on a storage that needs no disk."""

from __future__ import annotations

import io
import multiprocessing
import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest
import torch
from leases import first_to_put

from dfkd.storage import FolderStorage, Storage, layout, open_storage
from dfkd.storage.file_lease import FileLease
from dfkd.storage.layout import Key
from dfkd.storage.lease import Lease
from dfkd.storage.ledger import Ledger, Outcome

ONE, TWO = Key("folder/one"), Key("folder/deep/two")


FINISHED = Outcome(
    cell="a-cell",
    state="finished",
    step=10,
    metrics={"probe": 0.25},
    params={},
    block={},
    tags={},
    environment={},
    seconds=1.0,
    points=[{"step": 10.0, "probe": 0.25}],
)


class MemoryStorage(Storage):
    """All that another backend has to say: the abstract members, and no other file of ours."""

    def __init__(self, scratch: Path, prefix: Key = layout.ROOT, files: dict | None = None) -> None:
        self.scratch, self.prefix = scratch, prefix
        self.files: dict[Key, bytes] = {} if files is None else files

    def get(self, key: Key) -> bytes:
        if self.prefix / key not in self.files:
            raise FileNotFoundError(key)
        return self.files[self.prefix / key]

    def open(self, key: Key) -> BinaryIO:
        return io.BytesIO(self.get(key))

    def put_if_absent(self, key: Key, content: bytes) -> bool:
        return self.files.setdefault(self.prefix / key, content) is content

    def replace(self, key: Key, write: Callable[[Path], object]) -> None:
        half = self.scratch / "half"
        write(half)
        self.files[self.prefix / key] = half.read_bytes()
        half.unlink()

    def list(self, folder: Key) -> list[str]:
        inside = [key for key in self.files if self.prefix / folder in key.parents]
        return sorted({key.relative_to(self.prefix / folder).parts[0] for key in inside})

    def delete(self, key: Key) -> None:
        for gone in [one for one in self.files if self.prefix / key in (one, *one.parents)]:
            del self.files[gone]

    def local(self, key: Key) -> Path:
        path = self.scratch / key.name
        path.write_bytes(self.get(key))
        return path

    def lease(self, key: Key) -> Lease:
        return FileLease(self.scratch / key.name)

    def below(self, folder: Key) -> Storage:
        return MemoryStorage(self.scratch, self.prefix / folder, self.files)


@pytest.fixture(params=["folder", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    made = FolderStorage(tmp_path / "s") if request.param == "folder" else MemoryStorage(tmp_path)
    yield made
    assert not list(tmp_path.rglob(".*"))  # nothing half-written is left


def test_what_is_put_comes_back(storage: Storage) -> None:
    storage.replace(ONE, lambda path: path.write_bytes(b"first"))
    storage.replace(ONE, lambda path: path.write_bytes(b"second"))
    storage.write_json(TWO, {"a": [1, 0.1]})
    assert storage.get(ONE) == b"second" and storage.read_json(TWO) == {"a": [1, 0.1]}
    assert storage.get(TWO) == b'{\n "a": [\n  1,\n  0.1\n ]\n}\n'
    with storage.open(ONE) as file:
        file.seek(3)
        assert file.read() == b"ond"
    assert storage.local(ONE).read_bytes() == b"second"


def test_what_is_not_there_is_told(storage: Storage) -> None:
    for read in (storage.get, storage.open, storage.read_json):
        with pytest.raises(FileNotFoundError):
            read(ONE)
    assert storage.list(Key("folder")) == [] and not storage.exists(ONE)
    storage.delete(ONE)


def test_only_the_first_puts_if_absent(storage: Storage) -> None:
    assert storage.put_if_absent(ONE, b"first")
    assert not storage.put_if_absent(ONE, b"second")
    assert storage.get(ONE) == b"first"


def test_a_file_that_could_not_be_written_leaves_the_earlier_one(storage: Storage) -> None:
    storage.write_text(ONE, "first")
    with pytest.raises(ZeroDivisionError):
        storage.replace(ONE, lambda path: 1 / 0)
    assert storage.get(ONE) == b"first"


def test_names_are_listed_folder_by_folder_and_go_together(storage: Storage) -> None:
    storage.write_text(ONE, "1")
    storage.write_text(TWO, "2")
    assert storage.list(Key(".")) == ["folder"] and storage.list(Key("folder")) == ["deep", "one"]
    assert storage.exists(TWO) and storage.exists(TWO.parent)
    storage.delete(TWO.parent)
    assert storage.list(Key("folder")) == ["one"] and not storage.exists(TWO)
    storage.delete(ONE)
    assert not storage.exists(ONE)


def test_a_storage_inside_has_the_files_of_its_folder(storage: Storage) -> None:
    inside = storage.below(Key("folder"))
    inside.write_text(Key("deep/two"), "2")
    assert storage.get(TWO) == b"2" and inside.list(Key(".")) == ["deep"]


def test_a_ledger_needs_no_more_than_that(storage: Storage) -> None:
    ledger, weights = Ledger(storage), {"w": torch.arange(3.0)}
    ledger.checkpoint("a-cell", {"run": weights})
    restored = ledger.restore("a-cell")
    assert restored is not None and restored["run"]["w"].equal(weights["w"])
    ledger.write_error("a-cell", "why")
    assert ledger.error("a-cell") == "why\n"
    ledger.write(FINISHED, weights)
    ledger.write_test("a-cell", 0.5)
    assert ledger.read("a-cell") == replace(FINISHED, metrics={"probe": 0.25, "test": 0.5})
    assert ledger.weights("a-cell")["w"].equal(weights["w"]) and len(list(ledger.records())) == 1
    assert ledger.restore("a-cell") is None and ledger.error("a-cell") is None
    assert storage.list(layout.CELLS) == ["a-cell"]


def test_a_backend_is_these_members() -> None:
    """Whoever adds one has all backends to write it for."""
    assert Storage.__abstractmethods__ == {
        *("get", "open", "put_if_absent", "replace", "list", "delete"),
        *("local", "lease", "below"),
    }


def test_a_check_that_it_can_be_written_leaves_nothing(storage: Storage) -> None:
    storage.check_writable()
    assert storage.list(Key(".")) == []


# ---- folders


def test_of_several_processes_one_puts(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as processes:
        for attempt in range(25):
            root = tmp_path / str(attempt)
            contents = [bytes([i]) * 10_000 for i in range(4)]
            won = processes.starmap(first_to_put, [(root, ONE, content) for content in contents])
            assert sum(won) == 1 and FolderStorage(root).get(ONE) == contents[won.index(True)]


def test_half_written_files_are_not_listed(tmp_path: Path) -> None:
    (tmp_path / f".one.{'0' * 32}").touch()
    (tmp_path / ".kept").touch()
    assert FolderStorage(tmp_path).list(Key(".")) == [".kept"]


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x"])
def test_no_name_leads_out_of_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="must lie below the storage, but got"):
        FolderStorage(tmp_path / "s").write_text(layout.study(name), "x")
    assert not list(tmp_path.iterdir())


def test_it_travels_to_workers(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    assert pickle.loads(pickle.dumps(storage)) == storage and str(storage) == str(tmp_path)


# ---- addresses


@pytest.mark.parametrize(
    "address", ["s3://bucket", "gs://b/runs", "az://b", "file:///tmp/x", "hdfs://h:1/x", ""]
)
def test_what_is_no_folder_is_refused_in_one_line(address: str) -> None:
    with pytest.raises(ValueError, match="the storage must be a folder, but got") as raised:
        open_storage(address)
    assert "\n" not in str(raised.value) and repr(address) in str(raised.value)


def test_a_uri_that_pathlib_has_shortened_is_refused_too() -> None:
    with pytest.raises(ValueError, match="must be a folder"):
        open_storage(Path("s3://bucket"))


def test_a_folder_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for address in ("runs", tmp_path / "runs", "runs/"):
        assert str(open_storage(address)) == str(tmp_path / "runs")
    assert str(open_storage("~/runs")) == str(tmp_path / "home" / "runs")
    assert str(open_storage("at:12/runs")) == str(tmp_path / "at:12" / "runs")
    assert list(tmp_path.iterdir()) == []
