"""Cleaning a storage.

What nothing refers to is found and goes, what anything refers to or works with stays.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dfkd.cleaning import cleaning
from dfkd.cleaning.items import Item
from dfkd.cleaning.users import Users
from dfkd.data.pools import TrainingImages
from dfkd.experiment import Cell, Experiment
from dfkd.scores.top_k import TopK
from dfkd.seeding import Block
from dfkd.storage import FolderStorage, layout
from dfkd.storage.lease import using
from dfkd.storage.ledger import Ledger
from dfkd.storage.scratch import scratch_folder
from dfkd.training.cells import compute
from dfkd.training.inputs import InputSource, load, obtain, score_here
from dfkd.training.jobs import Job

SOURCES = ("pack", "pool", "scores", "teacher")


def may_go(folder: Path, older_than_s: float = -1.0) -> list[Item]:
    storage = FolderStorage(folder)
    return cleaning.unreferenced(storage, older_than_s, Users(storage))


def remove(items: list[Item], folder: Path) -> int:
    storage = FolderStorage(folder)
    return cleaning.remove(items, storage, Users(storage))


def clean_up(folder: Path) -> None:
    """Remove all that may go, whenever it was written."""
    remove(may_go(folder), folder)


def working(folder: Path) -> list[str]:
    return Users(FolderStorage(folder)).now()


def found(storage: Path, older_than_s: float = -1.0) -> set[tuple[str, str]]:
    """(kind, path) of all that may go; by default whenever it was written."""
    return {(item.kind, str(item.key)) for item in may_go(storage, older_than_s)}


def kinds(storage: Path) -> list[str]:
    return sorted(kind for kind, _ in found(storage))


def state(storage: Path) -> dict[str, int]:
    return {
        str(path.relative_to(storage)): path.stat().st_mtime_ns
        for path in storage.rglob("*")
        if path.is_file()
    }


def age(folder: Path, hours: float) -> None:
    for path in (folder, *folder.rglob("*")):
        then = path.stat().st_mtime - 3600 * hours
        os.utime(path, (then, then))


def test_what_no_cell_uses_goes_and_what_one_uses_stays_to_the_byte(
    storage: Path,
    made: tuple[Path, dict[str, InputSource]],
    tiny: Experiment,
    job_of: Callable[..., Job],
) -> None:
    # packs of the other pool and of the other teacher; one shard each
    assert kinds(storage) == ["pack", "pack", "pool", "scores", "scores", "teacher"]
    used = made[1]["used"]
    assert ("pool", "pools/glyphs-v1-100-16x16x1-draw0") in found(storage)
    before = state(storage)
    items = may_go(storage)
    lost = sum(path.stat().st_size for item in items for path in _files(storage / item.key))
    # folders themselves take some bytes too
    assert remove(items, storage) == pytest.approx(lost, rel=0.5)
    after = state(storage)
    assert after.items() <= before.items() and not found(storage)
    assert {name.split("/")[0] for name in after} == {
        "cells",
        "packs",
        "pools",
        "scores",
        "teachers",
    }
    # another cell finds all that it needs
    again = obtain(Cell(experiment=tiny, block=Block(seed=1)), FolderStorage(storage))
    score_here(again, FolderStorage(storage))
    compute(job_of(tiny, seed=1), load(again, FolderStorage(storage)), FolderStorage(storage))
    now = state(storage)
    assert again.teacher.digest == used.teacher.digest
    assert {
        name for name in now.keys() - after.keys() if not name.startswith(("cells", "packs"))
    } == set()
    assert after.items() <= now.items()


def _files(path: Path) -> Iterator[Path]:
    yield from (
        inner for inner in ([path] if path.is_file() else path.rglob("*")) if inner.is_file()
    )


def test_leftovers_of_processes_that_are_gone(
    storage: Path, job_of: Callable[..., Job], tiny: Experiment
) -> None:
    remove(may_go(storage), storage)
    [cell] = (storage / "cells").iterdir()
    unfinished = storage / "cells" / "unfinished"
    unfinished.mkdir()
    (unfinished / "checkpoint.pt").write_bytes(b"1234")  # the next call goes on from it
    (cell / "checkpoint.pt").write_bytes(b"1234")
    (unfinished / "lease").write_text(
        json.dumps({"host": _here(), "pid": 2**22 + 1, "started": "1"})
    )
    half = f".shard.parquet.{'a1' * 16}"
    (storage / "pools" / half).write_bytes(b"12")
    (storage / "packs" / f".pack.{'b2' * 16}").mkdir()
    (storage / "packs" / f".pack.{'b2' * 16}" / half).write_bytes(b"12")  # goes with its folder
    scratch = scratch_folder(FolderStorage(storage), layout.TUNE_SCRATCH)
    left_behind = scratch.__enter__()
    assert found(storage) == {
        ("checkpoint", f"cells/{cell.name}/checkpoint.pt"),
        ("lease", "cells/unfinished/lease"),
        ("half-written", f"pools/{half}"),
        ("half-written", f"packs/.pack.{'b2' * 16}"),
        ("scratch", f"tune/{left_behind.name}"),
    }
    record = (cell / "record.json").read_bytes()
    remove(may_go(storage), storage)
    assert not found(storage) and (cell / "record.json").read_bytes() == record
    assert (unfinished / "checkpoint.pt").exists() and not (storage / "tune").exists()


def _here() -> str:
    """As earlier versions named a host."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{socket.gethostname()} {boot}"


def test_while_someone_works_here_only_what_no_process_can_need_goes(storage: Path) -> None:
    [cell] = (storage / "cells").iterdir()
    (cell / "checkpoint.pt").write_bytes(b"1234")
    with using(FolderStorage(storage)):
        assert working(storage) == ["a command"] and kinds(storage) == ["checkpoint"]
    assert not working(storage) and "pack" in kinds(storage)
    lease = Ledger(FolderStorage(storage)).lease("another")
    assert lease.acquire()
    assert working(storage) == ["cell another"] and kinds(storage) == ["checkpoint"]
    lease.release()
    items = may_go(storage)
    with using(FolderStorage(storage)):  # begun since it was looked
        remove(items, storage)
    assert not (cell / "checkpoint.pt").exists() and all(
        (storage / item.key).exists() for item in items if item.kind in SOURCES
    )


def test_what_is_young_stays_with_all_that_belongs_to_it(
    storage: Path, made: tuple[Path, dict[str, InputSource]]
) -> None:
    assert not found(storage, 3600)
    age(storage, 48)
    old = {kind for kind, _ in found(storage, 24 * 3600)}
    assert old == set(SOURCES)
    # a pool was scored for days, its last shard a moment ago: the pool will be wanted, and this
    # teacher
    folder = storage / "scores" / made[1]["another teacher"].teacher.digest[:12]
    shutil.copyfile(next(folder.iterdir()), folder / "last.parquet")
    assert {kind for kind, _ in found(storage, 24 * 3600)} == {"pack", "scores"}
    [scores] = [path for kind, path in found(storage, 24 * 3600) if kind == "scores"]
    assert made[1]["used"].teacher.digest[:12] in scores


def test_a_pack_that_a_process_has_mapped_stays(storage: Path) -> None:
    [first, second] = sorted(path for kind, path in found(storage) if kind == "pack")
    file, pipe = str(storage / first / "logits_NK.npy"), subprocess.PIPE
    code = f"import numpy as np; a = np.load({file!r}, mmap_mode='r'); print(a.sum()); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True
    ) as other:
        assert other.stdout is not None and other.stdout.readline()
        assert [path for kind, path in found(storage) if kind == "pack"] == [second]
        other.communicate("\n")
    assert sorted(path for kind, path in found(storage) if kind == "pack") == [first, second]


def test_nothing_outside_the_storage_is_touched(storage: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    shutil.copytree(storage / "packs", outside / "packs")
    shutil.rmtree(storage / "packs")
    (storage / "packs").symlink_to(outside / "packs")
    shutil.move(storage / "scores", outside / "scores")
    (storage / "scores").symlink_to(outside / "scores")
    (storage / "pools" / "mine").symlink_to(outside)
    before = state(outside)
    assert {kind for kind, _ in found(storage)} == {"pool", "teacher"}
    assert "pools/mine" not in {path for _, path in found(storage)}
    remove(may_go(storage), storage)
    assert state(outside) == before and (storage / "pools" / "mine").is_symlink()


def test_scores_stay_where_it_cannot_be_told_which_a_cell_used(
    storage: Path, made: tuple[Path, dict[str, InputSource]]
) -> None:
    """Without the pack's note nobody says which files belong to the cell's pool.

    A teacher took hours for them.
    """
    for note in (storage / "packs").glob("*/pack.json"):
        note.unlink()
    used = made[1]["used"].teacher.digest[:12]
    assert not [path for kind, path in found(storage) if kind == "scores" and used in path]
    # those of the teacher that no cell names
    assert [path for kind, path in found(storage) if kind == "scores"]
    assert kinds(storage).count("pack") == 0  # nobody can tell that they are packs


def test_whole_scores_stay_beside_those_of_which_only_the_largest_logits_are_kept(
    storage: Path, tiny: Experiment, job_of: Callable[..., Job]
) -> None:
    """Two cells on one teacher and one pool; the pack of the first is lost."""
    few = replace(tiny, cache=TopK(k=3))
    source = obtain(Cell(experiment=few, block=Block(seed=0)), FolderStorage(storage))
    score_here(source, FolderStorage(storage))
    inputs = load(source, FolderStorage(storage))
    assert kinds(storage).count("scores") == 3
    compute(job_of(few), inputs, FolderStorage(storage))
    assert kinds(storage).count("scores") == 2
    for note in storage.glob("packs/*/pack.json"):
        if json.loads(note.read_text())["kept"] == 0:
            shutil.rmtree(note.parent)
    used = source.teacher.digest[:12]
    assert not [path for kind, path in found(storage) if kind == "scores" and used in path]


@pytest.mark.parametrize(
    "place",
    ["studies/one/setting.json", "sweeps/one/result-4-3.json", "retunings/one/result-4.json"],
)
def test_what_a_study_a_sweep_or_a_retuning_was_prepared_for_stays(
    place: str, storage: Path, made: tuple[Path, dict[str, InputSource]]
) -> None:
    other = made[1]["another teacher"]
    run_context = {"digests": {"source": [other.teacher.digest, other.pool.digest]}}
    (storage / place).parent.mkdir(parents=True)
    (storage / place).write_text(
        json.dumps(run_context if "setting" in place else {"setting": run_context, "result": {}})
    )
    assert kinds(storage) == ["pack", "pool", "scores"]  # of the other pool


def test_the_shards_of_a_pool_without_a_manifest_stay(
    tiny: Experiment, job_of: Callable[..., Job], storage: Path
) -> None:
    e = replace(tiny, pool=TrainingImages(task=tiny.task))
    training = obtain(Cell(experiment=e, block=Block(seed=0)), FolderStorage(storage))
    folder = training.pool.shards[0].path.parent.name
    assert ("pool", f"pools/{folder}") in found(storage)
    [cell] = (storage / "cells").iterdir()
    record = json.loads((cell / "record.json").read_text())
    record["tags"]["pool"] = training.pool.digest
    other = storage / "cells" / "other"
    other.mkdir()
    (other / "record.json").write_text(json.dumps(record))
    assert ("pool", f"pools/{folder}") not in found(storage)


def test_a_pool_whose_shards_are_part_of_another_in_use_stays(
    storage: Path, made: tuple[Path, dict[str, InputSource]]
) -> None:
    """A mixture is made of other pools' shards; no cell names those pools."""
    part = made[1]["another pool"].pool
    assert ("pool", "pools/glyphs-v1-100-16x16x1-draw0") in found(storage)
    for path in (storage / "packs").glob("*/pack.json"):
        note = json.loads(path.read_text())
        if note["pool"] == made[1]["used"].pool.digest:
            path.write_text(json.dumps(note | {"shards": [*note["shards"], part.shards[0].digest]}))
    assert ("pool", "pools/glyphs-v1-100-16x16x1-draw0") not in found(storage)
