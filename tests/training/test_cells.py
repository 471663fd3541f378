"""Cells: computed once and told from the ledger after that; diverged ones; the test set."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from cells import everything, files, told

from dfkd.method.dropping import Tail
from dfkd.storage import FolderStorage
from dfkd.storage.ledger import Ledger
from dfkd.storage.outcome import ENDED
from dfkd.training.cells import Computation, compute

# ---- once


def test_a_cell_is_computed_once(job, inputs, tmp_path, steps):
    first = compute(job, inputs, FolderStorage(tmp_path))
    assert steps == list(range(20))
    before = everything(tmp_path)
    assert compute(job, inputs, FolderStorage(tmp_path)) == first
    assert steps == list(range(20))
    assert everything(tmp_path) == before


def test_what_a_cell_leaves_behind(job, inputs, tmp_path):
    outcome = compute(replace(job, tags={"git": "abc"}), inputs, FolderStorage(tmp_path))
    assert files(tmp_path, job) == {"curve.parquet", "student.safetensors", "record.json"}
    assert Ledger(FolderStorage(tmp_path)).read(job.name) == outcome
    assert (outcome.cell, outcome.state, outcome.step) == (job.name, "finished", 20)
    assert [point["step"] for point in outcome.points] == [5, 10, 15, 20]
    assert outcome.metrics == {
        name: value for name, value in outcome.points[-1].items() if name != "step"
    }
    assert outcome.params == job.cell.experiment.params()
    expected = {"teacher": job.teacher_digest, "pool": job.pool_digest, "git": "abc"}
    assert outcome.tags == {**expected, ENDED: outcome.tags[ENDED]}
    ended = datetime.fromisoformat(outcome.tags[ENDED])
    assert timedelta() <= datetime.now(UTC) - ended < timedelta(hours=1)
    assert outcome.environment["threads"] == 1
    assert outcome.seconds > 0


def test_equal_experiments_are_one_cell_and_others_are_not(job, tiny, job_of):
    assert job.name == job_of(replace(tiny, dropping=Tail(rate=0.35))).name
    environment = replace(job.environment, threads=2)
    names = {job.name, job_of(tiny, seed=1).name, replace(job, environment=environment).name}
    names |= {replace(job, teacher_digest="t").name, replace(job, pool_digest="p").name}
    assert len(names) == 5
    assert replace(job, read_test=True, tags={"a": "b"}).name == job.name


def test_a_finished_cell_is_told_point_by_point(job, inputs, tmp_path):
    points = compute(job, inputs, FolderStorage(tmp_path)).points
    again = Computation(job, inputs, Ledger(FolderStorage(tmp_path)))
    assert [again.advance() for _ in range(5)] == [*points, None]
    assert again.outcome is not None and again.ended


# ---- diverged


def test_a_diverged_cell_is_kept_with_the_metrics_of_a_guess(tiny, job_of, inputs, tmp_path, steps):
    job = job_of(replace(tiny, schedule=replace(tiny.schedule, learning_rate=1e6)), read_test=True)
    outcome = compute(job, inputs, FolderStorage(tmp_path))
    assert outcome.state == "diverged" and outcome.final
    assert outcome.metrics == dict.fromkeys(("probe", "probe.soft", "validation", "test"), 0.1)
    assert outcome.step == steps[-1] + 1 == outcome.points[-1]["step"]
    assert files(tmp_path, job) == {"curve.parquet", "record.json", "test.json"}
    before = everything(tmp_path)
    assert compute(job, inputs, FolderStorage(tmp_path)) == outcome
    assert everything(tmp_path) == before


def test_a_diverged_cell_has_no_validation_where_there_is_none(tiny, job_of, inputs, tmp_path):
    job = job_of(replace(tiny, schedule=replace(tiny.schedule, learning_rate=1e6)))
    outcome = compute(job, replace(inputs, validation=None), FolderStorage(tmp_path))
    assert outcome.metrics == {"probe": 0.1, "probe.soft": 0.1}


# ---- the test set


@pytest.fixture
def test_reads(tiny, monkeypatch) -> list[int]:
    reads: list[int] = []
    kind = type(tiny.task)
    read = kind.test

    def counted(task: object) -> object:
        reads.append(1)
        return read(task)

    monkeypatch.setattr(kind, "test", counted)
    return reads


def test_the_test_set_is_read_once_and_only_where_it_was_asked_for(
    job, inputs, tmp_path, test_reads, steps
):
    assert "test" not in compute(job, inputs, FolderStorage(tmp_path)).metrics
    assert test_reads == []
    asked = replace(job, read_test=True)
    first = compute(asked, inputs, FolderStorage(tmp_path))
    assert 0 < first.metrics["test"] < 1
    assert compute(asked, inputs, FolderStorage(tmp_path)) == first
    assert test_reads == [1]
    assert len(steps) == 20  # the trial's cell is the confirmed one: nothing is trained again
    assert compute(job, inputs, FolderStorage(tmp_path)) == first


def test_the_test_accuracy_is_that_of_the_kept_student(job, inputs, tmp_path):
    first = compute(replace(job, read_test=True), inputs, FolderStorage(tmp_path / "a"))
    compute(job, inputs, FolderStorage(tmp_path / "b"))
    later = compute(replace(job, read_test=True), inputs, FolderStorage(tmp_path / "b"))
    assert told(later) == told(first)


def test_the_test_accuracy_of_each_class_averages_to_that_of_all(job, inputs, tmp_path, tiny):
    metrics = compute(replace(job, read_test=True), inputs, FolderStorage(tmp_path)).metrics
    labels = tiny.task.test().labels
    by_class = np.array([metrics[f"test.class.{k}"] for k in range(10)])
    assert (by_class * np.bincount(labels)).sum() / len(labels) == pytest.approx(metrics["test"])
    assert by_class.std() > 0
