"""Cells in the real MLflow on a database: each once, with all that the ledger knows."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow_records import Record, outcome

from dfkd.storage import FolderStorage
from dfkd.storage.ledger import Ledger
from dfkd.tracking import entries, origin, places, store
from dfkd.tracking.reading import Tracked


def test_a_cell_is_written_with_all_that_the_ledger_knows(record: Record) -> None:
    parent, cell = record.parent(), outcome(test=0.55)
    record.cell(cell, parent, study="losses", variant="full")
    run = record.run(cell)
    assert run.info.run_name == "cell c1" and run.info.status == "FINISHED"
    assert run.data.params == {
        **{name: str(value) for name, value in cell.params.items()},
        **{"study": "losses", "variant": "full", "block": "4.d1"},
    }
    assert run.data.metrics == {
        "training/probe": pytest.approx(0.3),
        "training/validation": pytest.approx(0.6),
        **cell.metrics,
        "seconds": cell.seconds,
    }
    assert record.curve(cell, "training/validation") == [
        (int(point["step"]), point["validation"]) for point in cell.points
    ]
    assert record.curve(cell, "probe") == [(0, cell.metrics["probe"])]
    expected = {
        "mlflow.parentRunId": parent.run_id,
        "cell_key": "c1",
        "block": "4.d1",
        "state": "finished",
        "step": "300",
        "git_commit": "abc",
        "teacher_digest": "t0",
        "pool_digest": "p0",
        "environment.device": "cpu AVX2",
        "environment.threads": "1",
        "role": "trial",
        "study": "losses",
        "variant": "full",
    }
    assert expected.items() <= run.data.tags.items()


def test_commits_and_the_code_of_own_classes_are_tags_and_come_back(record: Record) -> None:
    own = {"project_commit": "def+changes", "code.my_loss.Mine": "1-0123456789abcdef"}
    cell = replace(outcome("own"), tags=outcome().tags | own)
    record.cell(cell)
    run = record.run(cell)
    assert own.items() <= run.data.tags.items()
    back = Tracked(record.tracker.uri).outcome(run)
    assert back is not None and back.tags == cell.tags


def test_the_times_are_those_of_the_computation(record: Record) -> None:
    cell = outcome("timed")
    Ledger(FolderStorage(record.storage)).write(cell, None)
    kept = Path(Ledger(FolderStorage(record.storage)).address("timed")) / "record.json"
    os.utime(kept, (1_700_000_000, 1_700_000_000))
    record.cell(cell)
    run = record.run(cell)
    assert (run.info.start_time, run.info.end_time) == (1_699_999_970_000, 1_700_000_000_000)
    history = record.client.get_metric_history(run.info.run_id, "training/probe")
    assert [point.timestamp for point in history] == [
        1_699_999_980_000,
        1_699_999_990_000,
        1_700_000_000_000,
    ]


@pytest.mark.parametrize(
    "with_parent", [True, False], ids=["children are looked up", "found one by one"]
)
def test_a_cell_stands_once_whatever_the_number_of_runs(record: Record, with_parent: bool) -> None:
    for _ in range(2):
        parent = record.parent() if with_parent else None
        for _ in range(2):
            record.cell(outcome("c1"), parent, study="s")
            record.cell(outcome("c2"), parent, study="s")
        record.tracker.close()
        record.tracker = record.another()
    assert len(record.runs(study="s")) == 2
    assert len(record.curve(outcome(), "training/probe")) == 3
    assert len(record.curve(outcome(), "probe")) == 1


def test_two_drivers_at_once_write_a_cell_once(record: Record) -> None:
    other = record.another()
    parent = record.parent()
    other.parent(kind="sweep", name="digits", identity="a1", params={}, tags={})
    record.cell(outcome(), parent)
    other.cell(outcome(), parent, role="trial", name="c", tags={})
    assert len(record.runs(cell_key="c1")) == 1


def test_a_cell_of_two_studies_has_the_tags_of_both_and_the_first_parent(record: Record) -> None:
    first = record.parent()
    record.cell(outcome(), first, "baseline", study="losses", variant="full")
    record.tracker = record.another()
    second = record.parent("other", "a2")
    for _ in range(2):
        record.cell(outcome(), second, "variant", study="views", variant="full")
    tags, params = record.run(outcome()).data.tags, record.run(outcome()).data.params
    assert (params["study"], params["variant"]) == ("losses", "full")  # what it was first
    assert tags["mlflow.parentRunId"] == first.run_id
    assert (tags["study"], tags["variant"], tags["role"]) == (
        "losses, views",
        "full",
        "baseline, variant",
    )
    record.cell(outcome(), first, "baseline", study="losses", variant="full")
    assert record.run(outcome()).data.tags["study"] == "losses, views"
    experiment = [first.experiment_id]
    for study in ("losses", "views"):
        assert len(record.client.search_runs(experiment, f"tags.study LIKE '%{study}%'")) == 1


def test_a_cell_written_without_a_parent_gets_the_next_one_and_its_name_there(
    record: Record,
) -> None:
    record.cell(outcome(), None)
    for study in ("losses", "views"):
        parent = record.parent(study, study)
        record.tracker.cell(outcome(), parent, role="variant", name=f"{study} 4.d1", tags={})
        run = record.run(outcome())
        assert run.info.run_name == "losses 4.d1"
    assert run.data.tags["mlflow.parentRunId"] != parent.run_id


@pytest.mark.parametrize("same_run", [True, False])
def test_a_pruned_cell_is_finished_later(record: Record, same_run: bool) -> None:
    record.cell(outcome(state="pruned", steps=2))
    run = record.run(outcome())
    assert (
        run.info.status == "KILLED"
        and run.data.tags["state"] == "pruned"
        and run.data.tags["step"] == "200"
    )
    assert run.data.metrics["probe"] == pytest.approx(0.2)
    if not same_run:
        record.tracker = record.another()
    record.cell(outcome())
    record.cell(outcome(state="pruned", steps=2))  # an old driver's view changes nothing
    run = record.run(outcome())
    assert (
        run.info.status == "FINISHED"
        and run.data.tags["state"] == "finished"
        and run.data.tags["step"] == "300"
    )
    assert run.data.metrics["probe"] == pytest.approx(0.3)
    assert [step for step, _ in record.curve(outcome(), "training/probe")] == [100, 200, 300]


def test_the_test_accuracy_is_added_when_it_is_read(record: Record) -> None:
    record.cell(outcome())
    assert "test" not in record.run(outcome()).data.metrics
    record.cell(outcome(test=0.5))
    assert record.run(outcome()).data.metrics["test"] == 0.5
    assert record.curve(outcome(), "test") == [(0, 0.5)]


def test_a_diverged_cell_counts(record: Record) -> None:
    record.cell(
        replace(outcome(state="diverged"), metrics={"probe": 0.1, "validation": float("nan")})
    )
    run = record.run(outcome())
    assert run.info.status == "FINISHED" and run.data.tags["state"] == "diverged"
    assert run.data.metrics["probe"] == 0.1 and "validation" not in run.data.metrics


def test_a_run_of_an_earlier_form_is_gone_on_with_and_can_be_searched(record: Record) -> None:
    """A run that cannot be changed: its curve has the plain names, final values a prefix."""
    from mlflow.entities import Metric, Param

    old = outcome("old")
    parent = record.parent()
    run = record.client.create_run(
        parent.experiment_id, tags={"cell_key": "old", "study": "s", "state": "x", "step": "200"}
    ).info.run_id
    rates = {"probe": 0.1, "validation": 0.2}
    curve = [Metric(name, r * i, i, 100 * i) for i in (1, 2) for name, r in rates.items()]
    params = [Param(name, str(value)) for name, value in old.params.items()]
    record.client.log_batch(run, [*curve, Metric("final/probe", 0.2, 2, 200)], params)
    for test in ({}, {"test": 0.5}, {"test": 0.5}):
        record.cell(outcome("old", **test), parent, study="s", variant="full")
    data = record.run(old).data
    assert data.metrics["test"] == data.metrics["final/test"] == 0.5
    assert data.metrics["probe"] == data.metrics["final/probe"] == pytest.approx(0.3)
    assert [step for step, _ in record.curve(old, "probe")] == [100, 200, 300]
    assert (data.params["variant"], data.params["block"]) == ("full", "4.d1")
    record.cell(outcome("new", test=0.5), parent, study="s", variant="full")
    tracked = Tracked(record.tracker.uri, record.experiment)
    told, fresh = (tracked.outcome(tracked.run(cell)) for cell in ("old", "new"))
    assert told is not None and fresh is not None
    assert replace(told, cell="new", environment=fresh.environment) == fresh


def test_a_param_that_another_driver_wrote_first_stays(record: Record) -> None:
    record.cell(outcome())
    record.client.log_param(record.run(outcome()).info.run_id, "variant", "theirs")
    record.cell(outcome(test=0.5), study="s", variant="ours")
    data = record.run(outcome()).data
    assert (data.params["variant"], data.params["study"]) == ("theirs", "s")
    assert (data.metrics["test"], data.tags["variant"]) == (0.5, "ours")


def test_an_interrupted_writing_is_completed(record: Record) -> None:
    """A driver was killed after the first batch.

    The run is there, some params and metrics too, the rest is not.
    """
    from mlflow.entities import Param

    Ledger(FolderStorage(record.storage)).write(outcome("torn"), None)
    record.cell(outcome("complete"))
    experiment = record.run(outcome("complete")).info.experiment_id
    torn = record.client.create_run(experiment, tags={"cell_key": "torn"})
    record.client.log_batch(torn.info.run_id, params=[Param("selection", "balanced")])
    for _ in range(2):
        record.cell(outcome("torn"), study="s")
        # the last thing that is written
        record.client.delete_tag(record.run(outcome("torn")).info.run_id, "step")
        record.tracker = record.another()
    run, complete = record.run(outcome("torn")), record.run(outcome("complete"))
    assert run.data.params == complete.data.params | {"study": "s"}
    assert run.data.metrics == complete.data.metrics
    assert run.info.status == "FINISHED"
    assert len(record.curve(outcome("torn"), "training/probe")) == 3


def test_long_curves_and_many_params_go_in_pieces(record: Record) -> None:
    cell = outcome(steps=1300)
    cell = replace(cell, params={f"part.field{i}": i for i in range(230)} | {"text": "x" * 9000})
    record.cell(cell)
    run = record.run(cell)
    assert len(run.data.params) == 232 and run.data.params["text"] == "x" * 6000
    assert [step for step, _ in record.curve(cell, "training/probe")] == [
        100 * i for i in range(1, 1301)
    ]


def test_our_tags_are_those_that_mlflow_and_its_ui_read() -> None:
    """They are MLflow's own, but its list of them is no part of its public interface."""
    from mlflow.utils import mlflow_tags as theirs

    assert (store.PARENT, store.LOGGED_TABLES, entries.COMMIT, entries.CONTEXT) == (
        theirs.MLFLOW_PARENT_RUN_ID,
        theirs.MLFLOW_LOGGED_ARTIFACTS,
        theirs.MLFLOW_GIT_COMMIT,
        theirs.MLFLOW_DATASET_CONTEXT,
    )
    assert (origin.USER, origin.SOURCE, origin.SOURCE_TYPE, places.NOTE) == (
        theirs.MLFLOW_USER,
        theirs.MLFLOW_SOURCE_NAME,
        theirs.MLFLOW_SOURCE_TYPE,
        theirs.MLFLOW_RUN_NOTE,
    )
