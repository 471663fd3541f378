"""An object store that speaks S3, on loopback, in a process of its own: moto's server."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import obstore
from obstore.store import S3Store

# One request at a time: moto looks at a condition and writes in two steps, so that of 1,200 swaps
# by three processes at once two were won by two of them. A real store does that in one step.
SERVE = """
import sys, threading
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
application, one_by_one = DomainDispatcherApplication(create_backend_app), threading.Lock()
def answer(environ, start_response):
    with one_by_one:
        return list(application(environ, start_response))
server = make_server(sys.argv[1], int(sys.argv[2]), answer, threaded=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()  # until whoever started it is gone
"""
SECRET = "not-to-be-shown-anywhere"


@dataclass(frozen=True)
class ObjectServer:
    """A server, and what the environment of its clients has to say."""

    process: subprocess.Popen[str]
    port: int

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
        }

    def bucket(self) -> str:
        """Make a bucket and return its name."""
        import urllib.request

        name = f"bucket-{uuid.uuid4().hex[:12]}"
        address = f"http://127.0.0.1:{self.port}/{name}"
        urllib.request.urlopen(urllib.request.Request(address, method="PUT"), timeout=30).close()
        return name

    def put_behind_its_back(self, bucket: str, key: str, content: bytes) -> None:
        """Write other bytes under the attributes that the object has: as a damaged disk does."""
        store = S3Store(
            bucket,
            endpoint=f"http://127.0.0.1:{self.port}",
            access_key_id="tester",
            secret_access_key=SECRET,
            region="us-east-1",
            client_options={"allow_http": True},
        )
        attributes = obstore.get(store, key).attributes
        obstore.put(store, key, content, attributes=attributes)


@contextmanager
def object_server() -> Iterator[ObjectServer]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    command = [sys.executable, "-c", SERVE, "127.0.0.1", "0"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=clean
    ) as process:
        assert process.stdout is not None
        try:
            yield ObjectServer(process, int(process.stdout.readline()))
        finally:
            process.kill()
