"""An MLflow that is away, refuses or takes no files costs a line and no result, nor its secrets."""

import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from mlflow_records import Record, closed_port, outcome

from dfkd.experiment.recipes import digits
from dfkd.storage import FolderStorage
from dfkd.tracking import Parent, Tracker
from dfkd.tracking.failures import STORES
from dfkd.tracking.reading import Tracked
from dfkd.tracking.tracker import FIRST_PAUSE_S


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


def exercise(tracker: Tracker) -> None:
    parent = tracker.parent(kind="sweep", name="digits", identity="a1", params={}, tags={})
    assert parent is None
    for i in range(50):
        tracker.cell(outcome(f"c{i}"), parent, role="trial", name="c", tags={})
    tracker.finish(Parent("1", "1"), metrics={}, tables={"t": "x"}, files={})
    tracker.close()


def test_a_server_that_is_away_costs_one_line(tmp_path: Path, capfd: Any) -> None:
    lines: list[str] = []
    uri = f"http://user:secret@127.0.0.1:{closed_port()}"
    exercise(Tracker(FolderStorage(tmp_path), uri, warn=lines.append))
    [line] = lines
    assert "Connection refused" in line and "\n" not in line and len(line) < 300
    assert "secret" not in line and "user" not in line
    assert capfd.readouterr() == ("", "")


@contextmanager
def hanging_up() -> Iterator[tuple[str, list[object]]]:
    """A server that closes every connection at once, and the connections there were."""
    calls: list[object] = []

    class HangUp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            calls.append(self.client_address)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), HangUp) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", calls
        server.shutdown()


def test_a_server_that_is_away_is_called_at_the_start_and_at_the_end(tmp_path: Path) -> None:
    """A call each, and MLflow's one repetition of it; the 50 cells between cost nothing."""
    with hanging_up() as (uri, calls):
        exercise(Tracker(FolderStorage(tmp_path), uri, warn=lambda line: None, clock=lambda: 1.0))
    assert len(calls) == 4


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
    exercise(Tracker(FolderStorage(tmp_path), uri, warn=lines.append))
    assert time.monotonic() - started < 60  # MLflow by itself tries for 100 s and more
    [line] = lines
    assert "\n" not in line and "secret" not in line
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"<html><body>log in</body></html>", "not in a valid JSON format"),
        (200, b"{}", "something answers there that is no MLflow"),
        (200, b"[]", "not in a valid JSON format"),
        (302, b"", "Exceeded 30 redirects"),
        (401, b"who are you?", "error code 401"),
        (404, b"not found", "error code 404"),
    ],
)
def test_an_answer_of_something_else_costs_one_line(
    status: int, body: bytes, said: str, tmp_path: Path, capfd: Any
) -> None:
    lines: list[str] = []
    with answering(status, body) as host:
        uri = f"http://user:secret@{host}"
        exercise(Tracker(FolderStorage(tmp_path), uri, warn=lines.append))
        with pytest.raises(ValueError, match=r"^the MLflow experiment dfkd at http://127") as read:
            Tracked(uri).names("study")
    assert len(lines) == 1 and said in lines[0]
    for line in (*lines, str(read.value)):
        assert "\n" not in line and "secret" not in line
    assert capfd.readouterr() == ("", "")


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A server that gives everybody the same answer; its host and port."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if status == 302:
                self.send_header("Location", "/login")
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    "uri",
    ["http://", "http://[::1", "https://host:99999", "http://host:port", "http://u:sec/ret@host:9"],
)
def test_an_address_that_nobody_can_call_is_refused_at_once(uri: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no address of an MLflow server: --tracking-uri") as it:
        Tracker(FolderStorage(tmp_path), uri)
    assert "sec" not in str(it.value) and "\n" not in str(it.value)


def test_an_address_of_an_unknown_kind_is_said_to_be_one(tmp_path: Path) -> None:
    lines: list[str] = []
    tracker = Tracker(FolderStorage(tmp_path), "foo:bar", warn=lines.append)
    exercise(tracker)
    assert len(lines) == 1 and "foo:bar" in lines[0]
    assert tracker.hint() == []  # there is nothing to see
    with pytest.raises(ValueError, match=r"dfkd at foo:bar cannot be read: .*unsupported URI"):
        Tracked("foo:bar").names("study")


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
        # not tried: its weights are not even read
        record.tracker.student(parent, outcome("c1"), digits())
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


def test_a_server_that_comes_back_is_caught_up(record: Record) -> None:
    now = 0.0
    tracker = record.another(clock=lambda: now)
    uri, tracker.uri = tracker.uri, f"http://127.0.0.1:{closed_port()}"
    record.tracker = tracker
    record.cell(outcome("c1"))
    record.cell(outcome("c2"))
    tracker.uri = uri
    now = FIRST_PAUSE_S
    record.cell(outcome("c3"))
    written = {run.data.tags["cell_key"] for run in record.runs(state="finished")}
    assert written == {"c1", "c2", "c3"}
    assert len(record.lines) == 1
    record.lines.clear()


@pytest.mark.parametrize("module", STORES)
def test_the_exceptions_of_artifact_stores_have_these_names(module: str) -> None:
    """Skipped for a client that is not installed; requests and ftplib always are."""
    client = pytest.importorskip(module, reason="not installed")
    for name in STORES[module]:
        assert issubclass(getattr(client, name), Exception)


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
        ("http://u:a b@c@host:5000/m", "http://host:5000/m", "http://host:5000/m"),
        (
            "sqlite:////a b/mlflow.db",
            "sqlite:////a b/mlflow.db",
            "mlflow ui --backend-store-uri 'sqlite:////a b/mlflow.db' --host 127.0.0.1",
        ),
    ],
)
def test_credentials_are_not_shown(uri: str, shown: str, command: str, tmp_path: Path) -> None:
    tracker = Tracker(FolderStorage(tmp_path), uri)
    assert tracker.shown_uri == shown
    assert tracker.hint() == [f"see all runs:  {command}"]
    lines = tracker.hint("7")
    page = "/#/experiments/7/runs?workflowType=machine_learning"
    assert lines[-1].endswith((f"http://127.0.0.1:5000{page}", f"host:5000/m{page}", f"host{page}"))
    assert len(lines) == (1 if uri.startswith("http") else 2)


def test_the_uri_comes_from_the_caller_the_environment_or_the_storage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert Tracker(FolderStorage(Path("runs"))).uri == f"sqlite:///{tmp_path}/runs/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "mysql://u:p@host/db")
    assert Tracker(FolderStorage(Path("runs"))).uri == "mysql://u:p@host/db"
    assert Tracker(FolderStorage(Path("runs"))).hint() == [
        'see all runs:  mlflow ui --backend-store-uri "$MLFLOW_TRACKING_URI" --host 127.0.0.1'
    ]
    assert Tracker(FolderStorage(Path("runs")), "http://given").uri == "http://given"


def test_importing_is_cheap() -> None:
    code = (
        "import sys, dfkd.tracking; sys.exit(bool({'mlflow', 'torch', 'pandas', 'sqlalchemy'} & "
        "sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
