"""Whether MLflow takes what is written and gives it back. It leaves nothing behind."""

import tempfile
import time
import uuid
from pathlib import Path
from textwrap import shorten

from dfkd.storage import Storage, layout
from dfkd.tracking.address import (
    database_file,
    database_uri,
    is_database,
    knock,
    required_tracking_uri,
    settle,
    shown_uri,
    without_credentials,
)
from dfkd.tracking.failures import failures

LONGEST = 120  # characters of a reason


def round_trip(storage: Storage, uri: str | None) -> str:
    """Return what is to be said of an MLflow that works. ValueError of one line for another.

    A registered model is written, read and deleted: MLflow keeps no trace of one, while runs and
    experiments stay in its bin. A database that is not there yet is not made: another one is, in
    a temporary folder.
    """
    settle()
    found = required_tracking_uri(storage, uri)
    shown, file = shown_uri(found), database_file(found)
    with tempfile.TemporaryDirectory() as folder:
        absent = file is not None and not file.exists()
        tried = database_uri(Path(folder) / layout.DATABASE) if absent else found
        try:
            seconds = _seconds(tried)
        except failures() as error:
            said = without_credentials(str(error)).strip().splitlines() or [type(error).__name__]
            reason = shorten(said[0], LONGEST, placeholder=" ...")
            raise ValueError(f"it does not work at {shown} ({reason})") from error
    place = "a database for this only; the first study makes its own" if absent else shown
    return f"it writes, reads and deletes in {1000 * seconds:.0f} ms: {place}"


def _seconds(uri: str) -> float:
    from mlflow import MlflowClient

    if is_database(uri):
        knock(uri)
    client, name = MlflowClient(uri, uri), f"dfkd-doctor-{uuid.uuid4().hex}"
    client.search_experiments(max_results=1)  # MLflow sets a new database up here
    started = time.monotonic()
    client.create_registered_model(name)
    try:
        client.get_registered_model(name)
    finally:
        client.delete_registered_model(name)
    return time.monotonic() - started
