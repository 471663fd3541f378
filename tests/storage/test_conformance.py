"""What every storage promises, shown on a folder, on an object store, and on one without a disk."""

import multiprocessing
import pickle
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from leases import StorageHolder, first_to_put
from memory_storage import MemoryStorage

from dfkd.storage import FolderStorage, Storage, layout
from dfkd.storage.layout import Key
from dfkd.storage.lease import using
from dfkd.storage.ledger import Ledger
from dfkd.storage.outcome import Outcome

ONE, TWO = Key("folder/one"), Key("folder/deep/two")
SHARED = ("folder", "object")  # that several processes see

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


@pytest.fixture(params=["folder", "object", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    if request.param == "object":
        yield request.getfixturevalue("object_storage")
        return
    made = FolderStorage(tmp_path / "s") if request.param == "folder" else MemoryStorage(tmp_path)
    yield made
    assert not list(tmp_path.rglob(".*"))  # nothing half-written is left


shared = pytest.mark.parametrize("storage", SHARED, indirect=True)


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


def test_a_part_of_a_large_file_is_read_from_any_position(storage: Storage) -> None:
    content = np.random.default_rng(0).bytes(300_000)
    storage.replace(ONE, lambda path: path.write_bytes(content))
    with storage.open(ONE) as file:
        assert file.seek(-10, 2) == 299_990 and file.read() == content[-10:] and not file.read(1)
        assert file.seek(100_000) == file.tell() and file.read(150_000) == content[100_000:250_000]


def test_what_is_not_there_is_told(storage: Storage) -> None:
    def path_and_read(key: Key) -> bytes:
        return storage.local(key).read_bytes()

    for read in (storage.get, storage.open, storage.read_json, path_and_read):
        with pytest.raises(FileNotFoundError):
            read(ONE)
    assert storage.list(Key("folder")) == [] and not storage.exists(ONE)
    assert not list(storage.walk(ONE))
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
    storage.write_text(TWO, "22")
    assert storage.list(Key(".")) == ["folder"] and storage.list(Key("folder")) == ["deep", "one"]
    assert storage.exists(TWO) and storage.exists(TWO.parent) and not storage.exists(Key("fold"))
    sizes = {entry.key: entry.bytes for entry in storage.walk(Key("folder"))}
    assert (sizes[ONE], sizes[TWO]) == (1, 2)
    storage.delete(TWO.parent)
    assert storage.list(Key("folder")) == ["one"] and not storage.exists(TWO)
    storage.delete(ONE)
    assert not storage.exists(ONE)


def test_a_storage_inside_has_the_files_of_its_folder(storage: Storage) -> None:
    inside = storage.below(Key("folder"))
    inside.write_text(Key("deep/two"), "2")
    assert storage.get(TWO) == b"2" and inside.list(Key(".")) == ["deep"]
    assert [entry.bytes for entry in inside.walk(Key("deep/two"))] == [1]


def test_a_file_is_a_value(storage: Storage) -> None:
    file = storage.file("folder/one")
    assert not file.exists() and file.name == "one"
    file.replace(lambda path: path.write_text("1"))
    assert file.exists() and file.path.read_text() == "1" and file.entry().bytes == 1
    assert file.entry().modified > 1.5e9
    with file.open() as opened:
        assert opened.read() == b"1"
    assert str(file).endswith("folder/one")


def test_a_folder_is_written_whole_or_not_at_all(storage: Storage) -> None:
    with pytest.raises(ZeroDivisionError), storage.writing_folder(Key("folder")) as half:
        (half / "one").write_text("1")
        raise ZeroDivisionError
    assert storage.list(layout.ROOT) == []
    with storage.writing_folder(Key("folder")) as half:
        (half / "deep").mkdir()
        (half / "deep" / "two").write_text("2")
        (half / "one").write_text("1")
    assert storage.get(ONE) == b"1" and storage.get(TWO) == b"2"


def test_a_file_that_a_library_opens_itself_is_in_place_at_the_end(storage: Storage) -> None:
    storage.write_text(ONE, "of an earlier call")
    with storage.growing_file(ONE) as path, path.open("a") as file:
        file.write("new")
    assert storage.get(ONE) == b"new"


def test_what_can_be_made_again_is_made_once_and_again_when_it_is_damaged(storage: Storage) -> None:
    made: list[Path] = []

    def make(half: Path) -> None:
        made.append(half)
        (half / "x").write_text("content")

    def intact(folder: Path) -> bool:
        return (folder / "x").read_text() == "content"

    for _ in range(2):
        folder = storage.make_here(Key("packs/p"), make, intact)
        assert (folder / "x").read_text() == "content" and len(made) == 1
    assert folder == storage.cache_path(Key("packs/p"))
    (folder / "x").write_text("Content")
    assert (storage.make_here(Key("packs/p"), make, intact) / "x").read_text() == "content"
    assert len(made) == 2


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


def test_a_check_that_it_can_be_written_leaves_nothing(storage: Storage) -> None:
    storage.check_writable()
    assert storage.list(Key(".")) == []


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x"])
@shared
def test_no_name_leads_out_of_it(storage: Storage, name: str) -> None:
    write = partial(storage.write_text, text="x")
    for use in (storage.get, storage.list, storage.delete, storage.exists, storage.below, write):
        with pytest.raises(ValueError, match="must lie below the storage, but got"):
            use(Key(name))


@shared
def test_it_travels_to_workers(storage: Storage) -> None:
    storage.write_text(ONE, "1")
    travelled = pickle.loads(pickle.dumps(storage))
    assert travelled == storage and travelled.get(ONE) == b"1"


# ---- several processes


@shared
def test_of_several_processes_one_puts(storage: Storage) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as processes:
        for attempt in range(25):
            inside = storage.below(Key(str(attempt)))
            contents = [bytes([i]) * 10_000 for i in range(4)]
            won = processes.starmap(first_to_put, [(inside, ONE, content) for content in contents])
            assert sum(won) == 1 and inside.get(ONE) == contents[won.index(True)]


@shared
def test_a_killed_holders_lease_is_had_by_one_of_several_contenders(storage: Storage) -> None:
    for attempt in range(3):
        key = Key(f"cells/{attempt}/lease")
        with StorageHolder(storage, key) as holder:
            assert holder.got_it and not storage.lease(key).acquire()
            holder.kill()
        contenders = [storage.lease(key) for _ in range(4)]
        got = [lease.acquire() for lease in contenders]
        assert got == [True, False, False, False]
        contenders[0].release()
        assert storage.lease(key).holder() is None and not storage.exists(key)


@shared
def test_a_command_clears_up_after_those_that_were_killed(storage: Storage) -> None:
    """Not after one that lives."""
    killed, alive = layout.in_use("killed"), layout.in_use("alive")
    with StorageHolder(storage, killed) as first, StorageHolder(storage, alive) as second:
        assert first.got_it and second.got_it
        first.kill()
        with using(storage) as mine:
            assert {Key(name) for name in storage.list(layout.ROOT)} == {killed, alive, mine}
        assert storage.list(layout.ROOT) == [str(alive)]
    with using(storage):  # the other one is dead as well now
        pass
    assert storage.list(layout.ROOT) == []


def test_a_backend_is_these_members() -> None:
    """Whoever adds one has all backends to write it for."""
    assert Storage.__abstractmethods__ == {
        *("get", "open", "put_if_absent", "replace", "list", "walk", "delete"),
        *("local", "make_here", "cache_path", "lease", "below"),
    }
