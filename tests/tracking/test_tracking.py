"""The MLflow writer against the real MLflow on a database: once per cell, all of it, and never in
the way.
"""

import json
import os
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import pytest
from torch import Tensor, nn

from dfkd.experiment.recipes import digits
from dfkd.storage.ledger import Ledger, Outcome
from dfkd.tracking import Parent, Tracker

EXPERIMENTS = iter(range(1000))


class Record:
    """A tracker of its own experiment in the module's database, and what stands there."""

    def __init__(self, storage: Path, experiment: str) -> None:
        self.storage, self.experiment, self.lines = storage, experiment, list[str]()
        self.tracker = self.another()

    def another(self) -> Tracker:
        """As in the next run of a command."""
        return Tracker(self.storage, experiment=self.experiment, warn=self.lines.append)

    @property
    def client(self) -> Any:
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=f"sqlite:///{self.storage}/mlflow.db")

    def runs(self, **tags: str) -> list[Any]:
        experiment = self.client.get_experiment_by_name(self.experiment).experiment_id
        runs = self.client.search_runs([experiment], order_by=["attributes.start_time ASC"])
        return [run for run in runs if tags.items() <= run.data.tags.items()]

    def run(self, cell: Outcome) -> Any:
        [run] = self.runs(cell_key=cell.cell)
        return run

    def curve(self, cell: Outcome, metric: str) -> list[tuple[int, float]]:
        history = self.client.get_metric_history(self.run(cell).info.run_id, metric)
        return [(point.step, point.value) for point in history]

    def parent(self, name: str = "digits", identity: str = "a1") -> Parent:
        parent = self.tracker.parent(
            kind="sweep", name=name, identity=identity, params={"trials": 3}, tags={"task": "d"}
        )
        assert parent is not None
        return parent

    def cell(
        self, outcome: Outcome, parent: Parent | None = None, role: str = "trial", **tags: str
    ) -> None:
        self.tracker.cell(outcome, parent, role=role, name=f"cell {outcome.cell}", tags=tags)


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("storage")  # one database: setting it up takes seconds


@pytest.fixture
def record(
    storage: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Record]:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    record = Record(storage, f"experiment {next(EXPERIMENTS)}")
    yield record
    assert record.lines == []
    assert capfd.readouterr() == ("", "")  # MLflow and its database keep quiet, too


def outcome(cell: str = "c1", state: str = "finished", steps: int = 3, **metrics: float) -> Outcome:
    points = [
        {"step": 100.0 * i, "probe": 0.1 * i, "validation": 0.2 * i} for i in range(1, steps + 1)
    ]
    return Outcome(
        cell=cell,
        state=state,
        step=100 * steps,
        metrics={"probe": 0.1 * steps, "validation": 0.2 * steps, **metrics},
        params={
            "selection": "balanced",
            "selection.ratio": 0.2,
            "schedule.steps": 300,
            "views": "none",
            "flag": True,
        },
        block={"seed": 4, "draw": 1, "teacher": 0},
        tags={"teacher": "t0", "pool": "p0", "git_commit": "abc"},
        environment={
            "device": "cpu AVX2",
            "workers": 1,
            "threads": 1,
            "torch": "2",
            "precision": "float32",
        },
        seconds=30.0,
        points=points,
    )


def test_a_cell_is_written_with_all_that_the_ledger_knows(record: Record) -> None:
    parent, cell = record.parent(), outcome(test=0.55)
    record.cell(cell, parent, study="losses", variant="full")
    run = record.run(cell)
    assert run.info.run_name == "cell c1" and run.info.status == "FINISHED"
    assert run.data.params == {name: str(value) for name, value in cell.params.items()}
    assert run.data.metrics == {
        "probe": pytest.approx(0.3),
        "validation": pytest.approx(0.6),
        **{f"final/{name}": value for name, value in cell.metrics.items()},
        "seconds": cell.seconds,
    }
    assert record.curve(cell, "validation") == [
        (int(point["step"]), point["validation"]) for point in cell.points
    ]
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


def test_the_times_are_those_of_the_computation(record: Record) -> None:
    cell = outcome("timed")
    Ledger(record.storage).write(cell, None)
    kept = Ledger(record.storage).folder("timed") / "record.json"
    os.utime(kept, (1_700_000_000, 1_700_000_000))
    record.cell(cell)
    run = record.run(cell)
    assert (run.info.start_time, run.info.end_time) == (1_699_999_970_000, 1_700_000_000_000)
    history = record.client.get_metric_history(run.info.run_id, "probe")
    assert [point.timestamp for point in history] == [
        1_699_999_980_000,
        1_699_999_990_000,
        1_700_000_000_000,
    ]


def test_a_parent_is_found_by_its_identity(record: Record) -> None:
    first = record.parent()
    assert first == record.parent() != record.parent(identity="a2")
    record.tracker.close()
    record.tracker = record.another()
    assert record.parent() == first
    run = record.client.get_run(first.run_id)
    assert run.info.run_name == "sweep/digits" and run.info.status == "RUNNING"
    assert run.data.params == {"trials": "3"}
    assert {"kind": "sweep", "identity": "a1", "task": "d"}.items() <= run.data.tags.items()


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
    assert (
        len(record.curve(outcome(), "probe"))
        == len(record.curve(outcome(), "final/probe") * 3)
        == 3
    )


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
    tags = record.run(outcome()).data.tags
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


def test_a_cell_written_without_a_parent_gets_the_next_one(record: Record) -> None:
    record.cell(outcome(), None)
    parent = record.parent()
    record.cell(outcome(), parent)
    assert record.run(outcome()).data.tags["mlflow.parentRunId"] == parent.run_id


@pytest.mark.parametrize("same_run", [True, False])
def test_a_pruned_cell_is_finished_later(record: Record, same_run: bool) -> None:
    record.cell(outcome(state="pruned", steps=2))
    run = record.run(outcome())
    assert (
        run.info.status == "KILLED"
        and run.data.tags["state"] == "pruned"
        and run.data.tags["step"] == "200"
    )
    assert run.data.metrics["final/probe"] == pytest.approx(0.2)
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
    assert run.data.metrics["final/probe"] == pytest.approx(0.3)
    assert [step for step, _ in record.curve(outcome(), "probe")] == [100, 200, 300]


def test_the_test_accuracy_is_added_when_it_is_read(record: Record) -> None:
    record.cell(outcome())
    assert not {"test", "final/test"} & record.run(outcome()).data.metrics.keys()
    record.cell(outcome(test=0.5))
    metrics = record.run(outcome()).data.metrics
    assert metrics["final/test"] == 0.5 and "test" not in metrics


def test_a_diverged_cell_counts(record: Record) -> None:
    record.cell(
        replace(outcome(state="diverged"), metrics={"probe": 0.1, "validation": float("nan")})
    )
    run = record.run(outcome())
    assert run.info.status == "FINISHED" and run.data.tags["state"] == "diverged"
    assert run.data.metrics["final/probe"] == 0.1 and "final/validation" not in run.data.metrics


def test_an_interrupted_writing_is_completed(record: Record) -> None:
    """A driver was killed after the first batch: the run is there, some params and metrics too, the
    rest is not.
    """
    from mlflow.entities import Param

    Ledger(record.storage).write(outcome("torn"), None)
    record.cell(outcome("complete"))
    experiment = record.run(outcome("complete")).info.experiment_id
    torn = record.client.create_run(experiment, tags={"cell_key": "torn"})
    record.client.log_batch(torn.info.run_id, params=[Param("selection", "balanced")])
    for _ in range(2):
        record.cell(outcome("torn"), study="s")
        record.client.delete_tag(
            record.run(outcome("torn")).info.run_id, "step"
        )  # the last thing that is written
        record.tracker = record.another()
    run, complete = record.run(outcome("torn")), record.run(outcome("complete"))
    assert run.data.params == complete.data.params and run.data.metrics == complete.data.metrics
    assert run.info.status == "FINISHED"
    assert len(record.curve(outcome("torn"), "probe")) == 3


def test_long_curves_and_many_params_go_in_pieces(record: Record) -> None:
    cell = outcome(steps=1300)
    cell = replace(cell, params={f"part.field{i}": i for i in range(230)} | {"text": "x" * 9000})
    record.cell(cell)
    run = record.run(cell)
    assert len(run.data.params) == 231 and run.data.params["text"] == "x" * 6000
    assert [step for step, _ in record.curve(cell, "probe")] == [100 * i for i in range(1, 1301)]


def test_results_stand_on_the_parent_and_can_be_written_again(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", record.tracker.uri)  # load_table looks nowhere else
    figure = tmp_path / "any_name.png"
    figure.write_bytes(b"png")
    table = pd.DataFrame({"variant": ["full", "plain"], "effect": [0.0, -0.02]})
    for best in (0.8, 0.9):
        record.tracker.finish(
            record.parent(),
            metrics={"best": best, "difference/KD, ratio=0.1+dropping": best},
            tables={"effects.tex": f"best {best}", "effects": table, "more.json": table},
            files={"figures/effects.png": figure, "copy.png": str(figure)},
        )
    run = record.client.get_run(record.parent().run_id)
    assert run.data.metrics == {"best": 0.9, "difference/KD_ ratio_0.1_dropping": 0.9}
    folder = Path(record.client.download_artifacts(run.info.run_id, "", tmp_path))
    assert (folder / "effects.tex").read_text() == "best 0.9"
    assert (
        (folder / "figures" / "effects.png").read_bytes()
        == (folder / "copy.png").read_bytes()
        == b"png"
    )
    loaded = record.client.load_table(run.info.experiment_id, "effects.json")
    pd.testing.assert_frame_equal(loaded, table)
    assert len(json.loads(run.data.tags["mlflow.loggedArtifacts"])) == 2
    assert (record.storage / "mlartifacts").is_dir()


class Untraceable(nn.Module):
    """What it does depends on what it sees: no graph can hold that."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(1, 10)

    def forward(self, images: Tensor) -> Tensor:
        mean = images.mean((1, 2, 3))[:, None]
        return self.head(mean if mean.sum().item() > 0 else -mean)


@dataclass(frozen=True, kw_only=True)
class UntraceableNetwork:
    version: ClassVar[int] = 1

    def build(self, classes: int, channels: int) -> nn.Module:
        return Untraceable()


def test_a_student_that_cannot_be_exported_is_one_calm_line(record: Record) -> None:
    """A user's own network may be anything; all else is written."""
    experiment = replace(digits(), student=UntraceableNetwork())
    Ledger(record.storage).write(outcome("untraceable"), Untraceable().state_dict())
    parent = record.parent()
    record.tracker.student(parent, outcome("untraceable"), experiment)
    record.cell(outcome("next"), parent)
    assert record.run(outcome("next")).info.status == "FINISHED"
    [line] = record.lines
    assert (
        line.startswith("MLflow has no model of a student (torch.export cannot trace it")
        and "\n" not in line
    )
    assert "student_model" not in record.client.get_run(parent.run_id).data.tags
    record.lines.clear()


def test_the_same_student_is_exported_once(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment, parent, cell = digits(), record.parent(), outcome("exported")
    Ledger(record.storage).write(cell, experiment.student.build(10, 1).state_dict())
    for _ in range(2):
        record.tracker.student(parent, cell, experiment)
        record.tracker.close()
        record.tracker = record.another()
    models = record.client.search_logged_models([parent.experiment_id])
    assert [(model.name, model.status) for model in models] == [("student", "READY")]
    assert (
        models[0].source_run_id == parent.run_id and models[0].params["student"] == "small_res_net"
    )
    [held] = record.client.get_run(parent.run_id).outputs.model_outputs
    assert (
        record.client.get_run(parent.run_id).data.tags["student_model"]
        == f"models:/{held.model_id}"
    )


def test_a_parent_is_running_finished_or_stopped(record: Record) -> None:
    done, stopped = record.parent(), record.parent("other", "a2")
    record.tracker.finish(done, metrics={}, tables={}, files={})
    record.tracker.close()
    assert record.client.get_run(done.run_id).info.status == "FINISHED"
    assert record.client.get_run(stopped.run_id).info.status == "KILLED"
    record.parent()
    assert record.client.get_run(done.run_id).info.status == "RUNNING"


def test_a_refused_entry_does_not_hold_up_the_next(record: Record) -> None:
    record.cell(replace(outcome("odd"), params={"a[0]": 1}))
    record.cell(replace(outcome("odder"), params={"a[0]": 1}))
    record.cell(outcome("good"))
    assert record.run(outcome("good")).info.status == "FINISHED"
    [line] = record.lines
    assert line.startswith("MLflow refused an entry (") and "a[0]" in line
    record.lines.clear()


def test_a_run_deleted_under_us_is_written_anew(record: Record) -> None:
    record.cell(outcome())
    first = record.run(outcome()).info.run_id
    record.client.delete_run(first)
    record.cell(outcome(test=0.5))  # refused: it is gone
    record.cell(outcome(test=0.5))
    assert record.run(outcome()).info.run_id != first
    assert len(record.lines) == 1
    record.lines.clear()


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def exercise(tracker: Tracker) -> None:
    parent = tracker.parent(kind="sweep", name="digits", identity="a1", params={}, tags={})
    assert parent is None
    for i in range(50):
        tracker.cell(outcome(f"c{i}"), parent, role="trial", name="c", tags={})
    tracker.finish(Parent("1", "1"), metrics={}, tables={"t": "x"}, files={})
    tracker.close()


def test_a_server_that_is_away_costs_one_line_and_little_time(tmp_path: Path, capfd: Any) -> None:
    lines: list[str] = []
    started = time.monotonic()
    uri = f"http://user:secret@127.0.0.1:{closed_port()}"
    exercise(Tracker(tmp_path, uri, warn=lines.append))
    assert time.monotonic() - started < 8
    [line] = lines
    assert "Connection refused" in line and "\n" not in line and len(line) < 300
    assert "secret" not in line and "user" not in line
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "uri",
    [
        "file:///nowhere/mlruns",
        "sqlite:////proc/none/mlflow.db",
        "postgresql://u:secret@127.0.0.1:1/m",
        "odd://x",
    ],
)
def test_a_store_that_cannot_be_opened_costs_one_line(uri: str, tmp_path: Path, capfd: Any) -> None:
    lines: list[str] = []
    started = time.monotonic()
    exercise(Tracker(tmp_path, uri, warn=lines.append))
    assert time.monotonic() - started < 4
    [line] = lines
    assert "\n" not in line and "secret" not in line
    assert capfd.readouterr() == ("", "")


@contextmanager
def refusing_ftp() -> Iterator[str]:
    """A server that lets nobody in. What MLflow lets pass then is ftplib's, and no OSError."""

    class Refuse(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            while self.rfile.readline():
                self.wfile.write(b"530 not you\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Refuse) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"ftp://user:secret@127.0.0.1:{server.server_address[1]}/files"
        server.shutdown()


@contextmanager
def without_client() -> Iterator[str]:
    """An artifact store whose client is not installed."""
    yield "s3://bucket/files"


@pytest.mark.parametrize(
    ("store", "reason"), [(refusing_ftp, "530 not you"), (without_client, "boto3")]
)
def test_an_artifact_store_that_takes_no_files_costs_a_line_and_the_files(
    record: Record, store: Callable[[], AbstractContextManager[str]], reason: str
) -> None:
    if store is without_client and find_spec("boto3"):
        pytest.skip("boto3 is installed")
    with store() as location:
        record.client.create_experiment(record.experiment, artifact_location=location)
        parent = record.parent()
        record.tracker.finish(parent, metrics={"best": 0.5}, tables={"table.tex": "x"}, files={})
        record.tracker.student(
            parent, outcome("c1"), digits()
        )  # not tried: its weights are not even read
        record.cell(outcome("c1"), parent)
        assert record.tracker.close() is False  # so that the next call tries again
    run = record.client.get_run(parent.run_id)
    assert run.info.status == "FINISHED" and run.data.metrics == {"best": 0.5}
    assert record.run(outcome("c1")).info.status == "FINISHED"
    [line] = record.lines
    assert (
        line.startswith("MLflow's artifact store takes no files")
        and reason in line
        and "secret" not in line
    )
    record.lines.clear()


def test_a_server_that_comes_back_is_caught_up(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, record.tracker.uri = record.tracker.uri, f"http://127.0.0.1:{closed_port()}"
    monkeypatch.setattr("dfkd.tracking.tracker.FIRST_PAUSE_S", 0.2)
    record.tracker._pause = 0.2
    record.cell(outcome("c1"))
    record.cell(outcome("c2"))
    record.tracker.uri = uri
    time.sleep(0.25)
    record.cell(outcome("c3"))
    assert {run.data.tags["cell_key"] for run in record.runs(state="finished")} == {
        "c1",
        "c2",
        "c3",
    }
    assert len(record.lines) == 1
    record.lines.clear()


@pytest.mark.parametrize(
    ("uri", "shown", "command"),
    [
        ("http://user:pw@host:5000/m", "http://host:5000/m", "http://host:5000/m"),
        ("https://host", "https://host", "https://host"),
        (
            "postgresql://u:p@host/db?password=x",
            "postgresql://host/db",
            "mlflow ui --backend-store-uri postgresql://host/db --host 127.0.0.1",
        ),
        (
            "sqlite:////a b/mlflow.db",
            "sqlite:////a b/mlflow.db",
            "mlflow ui --backend-store-uri 'sqlite:////a b/mlflow.db' --host 127.0.0.1",
        ),
    ],
)
def test_credentials_are_not_shown(uri: str, shown: str, command: str, tmp_path: Path) -> None:
    tracker = Tracker(tmp_path, uri)
    assert tracker.shown_uri == shown
    assert tracker.open_command() == command


def test_the_uri_comes_from_the_caller_the_environment_or_the_storage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert Tracker(Path("runs")).uri == f"sqlite:///{tmp_path}/runs/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "mysql://u:p@host/db")
    assert Tracker(Path("runs")).uri == "mysql://u:p@host/db"
    assert (
        Tracker(Path("runs")).open_command()
        == 'mlflow ui --backend-store-uri "$MLFLOW_TRACKING_URI" --host 127.0.0.1'
    )
    assert Tracker(Path("runs"), "http://given").uri == "http://given"


def test_importing_is_cheap() -> None:
    code = (
        "import sys, dfkd.tracking; sys.exit(bool({'mlflow', 'torch', 'pandas', 'sqlalchemy'} "
        "& sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
