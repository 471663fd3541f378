"""A real MLflow server on loopback, for as long as a test needs it."""

import contextlib
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient

PATIENCE_S = 90.0


@dataclass(frozen=True)
class Server:
    """Being started; `ready` waits until it answers."""

    uri: str
    process: subprocess.Popen[bytes]
    log: Path

    def ready(self) -> str:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=5):
                    return self.uri
            except OSError:
                time.sleep(0.2)
        raise AssertionError(f"no MLflow server:\n{self.log.read_text()}")

    def client(self) -> MlflowClient:
        return MlflowClient(tracking_uri=self.uri)


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Serve MLflow from this folder; kill the server and its workers at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    options = {
        "--host": "127.0.0.1",
        "--port": port,
        "--workers": "1",
        "--backend-store-uri": f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination": str(folder / "artifacts"),
    }
    # without its seven processes for background jobs, of which there are none
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    log = folder / "log"
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            *(part for option in options.items() for part in option),
        ],
        env=os.environ | quiet,
        stdout=log.open("wb"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield Server(f"http://127.0.0.1:{port}", process, log)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Gate:
    """An address at which nothing answers, until it is opened: then a server does."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = free.getsockname()
        self.uri = f"http://127.0.0.1:{self.address[1]}"

    @contextmanager
    def open(self, uri: str) -> Iterator[None]:
        host, port = uri.removeprefix("http://").split(":")

        class Relay(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with socket.create_connection((host, int(port))) as server:
                    back = threading.Thread(target=_pass_on, args=(server, self.request))
                    back.start()
                    _pass_on(self.request, server)
                    back.join()

        class Listener(socketserver.ThreadingTCPServer):
            allow_reuse_address = daemon_threads = True

        with Listener(self.address, Relay) as listener:
            threading.Thread(target=listener.serve_forever).start()
            try:
                yield
            finally:
                listener.shutdown()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while part := source.recv(65536):
            target.sendall(part)
        target.shutdown(socket.SHUT_WR)
