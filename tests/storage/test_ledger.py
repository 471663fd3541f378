"""The ledger.

What is written is read again, what is damaged counts as none, what is final stays.
"""

import json
import os
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from dfkd.storage import FolderStorage
from dfkd.storage.files import check_writable, replace_file, write_json
from dfkd.storage.ledger import Ledger
from dfkd.storage.outcome import Outcome

CELL = "key-environment"
POINTS = [
    {"step": 5.0, "probe": 0.25, "train.kd": 1 / 3},
    {"step": 10.0, "probe": 0.5, "train.kd": 0.1, "kept_classes": 7.0},
]
WEIGHTS = {
    "a": torch.arange(6.0).view(2, 3),
    "b": torch.tensor(3),
    "c": torch.arange(6.0).view(2, 3).T,
}
FINISHED = Outcome(
    cell=CELL,
    state="finished",
    step=10,
    metrics={"probe": 0.5, "train.kd": 0.1},
    params={"selection": "balanced", "selection.ratio": 0.1, "schedule.steps": 10, "flag": True},
    block={"seed": 0, "draw": 0, "teacher": 0},
    tags={"teacher": "t", "pool": "p"},
    environment={"device": "cpu", "threads": 1},
    seconds=1.5,
    points=POINTS,
)
PRUNED = replace(FINISHED, state="pruned", step=5, metrics={"probe": 0.25}, points=POINTS[:1])
DIVERGED = replace(FINISHED, state="diverged", step=10, metrics={"probe": 0.1})


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(FolderStorage(tmp_path))


def files(ledger: Ledger) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(ledger.address(CELL)).iterdir())}


# ---- outcomes


@pytest.mark.parametrize("outcome", [FINISHED, PRUNED, DIVERGED], ids=lambda outcome: outcome.state)
def test_an_outcome_comes_back_as_it_was(ledger, outcome):
    assert ledger.read(CELL) is None
    ledger.write(outcome, WEIGHTS if outcome.state == "finished" else None)
    assert ledger.read(CELL) == outcome
    assert outcome.final == (outcome.state != "pruned")


def test_a_curve_that_an_earlier_version_wrote_is_read(ledger):
    """By pandas, which leaves NaN where a row has no number."""
    ledger.write(FINISHED, WEIGHTS)
    pd.DataFrame(POINTS).to_parquet(Path(ledger.address(CELL)) / "curve.parquet")
    assert ledger.read(CELL) == FINISHED


def test_weights_come_back_as_they_were(ledger):
    ledger.write(FINISHED, WEIGHTS)
    back = ledger.weights(CELL)
    assert back.keys() == WEIGHTS.keys()
    assert all(back[name].equal(WEIGHTS[name]) for name in WEIGHTS)


@pytest.mark.parametrize(
    "later",
    [PRUNED, DIVERGED, replace(FINISHED, seconds=9.0), replace(PRUNED, step=99)],
    ids=lambda outcome: f"{outcome.state} {outcome.step}",
)
@pytest.mark.parametrize("first", [FINISHED, DIVERGED], ids=lambda outcome: outcome.state)
def test_what_is_final_stays(ledger, first, later):
    ledger.write(first, WEIGHTS)
    before = files(ledger)
    ledger.write(later, None)
    assert files(ledger) == before
    assert ledger.read(CELL) == first


@pytest.mark.parametrize(
    "final", [FINISHED, DIVERGED, replace(FINISHED, step=5)], ids=lambda o: f"{o.state} {o.step}"
)
def test_a_pruned_record_is_replaced_by_a_final_one(ledger, final):
    ledger.write(PRUNED, None)
    ledger.write(final, WEIGHTS)
    assert ledger.read(CELL) == final


def test_a_pruned_record_is_replaced_by_one_that_went_further_only(ledger):
    further = replace(PRUNED, step=10, points=POINTS)
    ledger.write(PRUNED, None)
    ledger.write(further, None)
    ledger.write(PRUNED, None)
    assert ledger.read(CELL) == further


@pytest.mark.parametrize("name", ["record.json", "curve.parquet"])
@pytest.mark.parametrize("damage", ["emptied", "cut off", "overwritten", "removed"])
def test_a_damaged_record_counts_as_none_and_is_written_again(ledger, name, damage):
    ledger.write(FINISHED, WEIGHTS)
    path = Path(ledger.address(CELL)) / name
    half = path.read_bytes()[: path.stat().st_size // 2]
    path.write_bytes(
        {"emptied": b"", "cut off": half, "overwritten": b"\xff" * 100, "removed": b""}[damage]
    )
    if damage == "removed":
        path.unlink()
    assert ledger.read(CELL) is None
    ledger.write(FINISHED, WEIGHTS)
    assert ledger.read(CELL) == FINISHED


@pytest.mark.parametrize("record", [None, [], 3, {}, {"cell": CELL}, {"unknown": 1}])
def test_a_record_of_another_kind_counts_as_none(ledger, record):
    ledger.write(FINISHED, WEIGHTS)
    write_json(Path(ledger.address(CELL)) / "record.json", record)
    assert ledger.read(CELL) is None


def test_the_record_is_written_last(ledger, monkeypatch):
    """A process that dies in between leaves no record."""
    monkeypatch.setattr(FolderStorage, "put_if_absent", _dies)
    with pytest.raises(KeyboardInterrupt):
        ledger.write(FINISHED, WEIGHTS)
    assert set(files(ledger)) == {"curve.parquet", "student.safetensors"}
    assert ledger.read(CELL) is None


def _dies(*arguments: object) -> None:
    raise KeyboardInterrupt


def test_the_test_metric_is_added_to_the_others(ledger):
    ledger.write(FINISHED, WEIGHTS)
    before = files(ledger)["record.json"]
    ledger.write_test(CELL, 0.75)
    assert ledger.read(CELL) == replace(FINISHED, metrics=FINISHED.metrics | {"test": 0.75})
    assert files(ledger)["record.json"] == before
    (Path(ledger.address(CELL)) / "test.json").write_text("")  # damaged: read again
    assert ledger.read(CELL) == FINISHED


# ---- on the way


def test_checkpoints_come_back_and_go_with_the_record(ledger):
    assert ledger.restore(CELL) is None
    ledger.checkpoint(CELL, {"run": {"weights": WEIGHTS["a"]}, "points": POINTS})
    state = ledger.restore(CELL)
    assert state is not None
    assert state["points"] == POINTS and state["run"]["weights"].equal(WEIGHTS["a"])
    ledger.write_error(CELL, "why")
    ledger.write(FINISHED, WEIGHTS)
    assert set(files(ledger)) == {"curve.parquet", "student.safetensors", "record.json"}


@pytest.mark.parametrize("size", [0, 10, 500])
def test_a_damaged_checkpoint_counts_as_none(ledger, size):
    ledger.checkpoint(CELL, {"run": {"weights": torch.ones(1000)}})
    path = Path(ledger.address(CELL)) / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:size])
    assert ledger.restore(CELL) is None


def test_a_checkpoint_runs_no_code(ledger):
    path = Path(ledger.address(CELL)) / "checkpoint.pt"
    path.parent.mkdir(parents=True)
    torch.save({"run": os.getcwd}, path)
    assert ledger.restore(CELL) is None


def test_an_error_is_no_record(ledger):
    ledger.write_error(CELL, "out of memory")
    assert ledger.read(CELL) is None
    assert (Path(ledger.address(CELL)) / "error.txt").read_text() == "out of memory\n"


# ---- files


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "file"
    write_json(path, {"a": 1})
    with pytest.raises(ZeroDivisionError):
        replace_file(path, lambda half: (half.write_text("half"), 1 / 0))
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(path.parent.iterdir()) == [path]


def test_who_reads_a_file_while_it_is_replaced_sees_the_old_one(tmp_path):
    path = tmp_path / "file"
    write_json(path, {"a": 1})
    with path.open() as reader:
        write_json(path, {"a": 2})
        assert json.load(reader) == {"a": 1}
    assert json.loads(path.read_text()) == {"a": 2}


def test_a_storage_that_can_be_written_is_left_as_it_was(tmp_path):
    check_writable(tmp_path / "a" / "b")
    check_writable(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_storage_that_cannot_be_written_is_refused_in_one_line(tmp_path):
    (tmp_path / "file").write_text("regular")
    for folder in (tmp_path / "file", tmp_path / "file" / "a" / "b"):
        with pytest.raises(
            ValueError, match=r"cannot be written .*: name another one with --storage"
        ) as raised:
            check_writable(folder)
        assert "\n" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "regular"


def test_another_process_may_begin_to_write_there_at_the_same_time(tmp_path, monkeypatch):
    def touched_and_written(path: Path) -> None:
        (path.parent / "anothers").write_text("x")

    monkeypatch.setattr(Path, "touch", touched_and_written)
    monkeypatch.setattr(Path, "unlink", lambda path: None)
    check_writable(tmp_path / "new")
    assert (tmp_path / "new" / "anothers").exists()
