"""Addresses of object stores, and what a store that is away, or too simple, is told by."""

import socket
import time
from pathlib import Path

import pytest
from object_server import SECRET, ObjectServer

from dfkd.storage import open_storage
from dfkd.storage.layout import Key
from dfkd.storage.ledger import Ledger
from dfkd.storage.object_client import client
from dfkd.storage.object_store import ObjectStorage
from dfkd.storage.storage import Unreachable


@pytest.fixture(autouse=True)
def fresh_clients(object_storage: ObjectStorage) -> None:
    """Clients keep the environment in which they were made."""
    client.cache_clear()


@pytest.mark.parametrize("address", ["{}/a/b", "{}/a/b/", "{}", "s3:/{}/a"])
def test_an_address_is_a_storage(object_server: ObjectServer, address: str) -> None:
    bucket = object_server.bucket()
    text = address.format(bucket if address.startswith("s3") else f"s3://{bucket}")
    storage = open_storage(Path(text) if address.startswith("s3") else text)
    storage.write_text(Key("x"), "1")
    assert str(storage) == text.rstrip("/").replace("s3:/b", "s3://b") and storage.get(Key("x"))
    assert storage.address(Key("x")) == f"{storage}/x" and storage.list(Key(".")) == ["x"]


@pytest.mark.parametrize(
    "address", [f"s3://me:{SECRET}@bucket/x", f"s3://bucket?secret={SECRET}", "s3://b/x#y"]
)
def test_keys_in_an_address_are_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(ValueError, match="keys belong into the environment") as raised:
        open_storage(address)
    assert SECRET not in str(raised.value)


def test_a_bucket_that_is_not_there_is_one_line(object_storage: ObjectStorage) -> None:
    with pytest.raises(ValueError, match="NoSuchBucket") as raised:
        open_storage("s3://there-is-no-such-bucket/x")
    assert "\n" not in str(raised.value)


def test_where_nobody_answers_is_one_line_within_seconds(
    object_storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dfkd.storage.object_client.QUICK_S", 1)
    with socket.socket() as silent:  # accepts connections and says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        began = time.monotonic()
        with pytest.raises(ValueError, match=r"^s3://bucket/x cannot be read or wr") as raised:
            open_storage("s3://bucket/x")  # exit code 2, as every ValueError
    assert time.monotonic() < began + 30
    assert "\n" not in str(raised.value) and SECRET not in str(raised.value)


def test_a_store_that_is_away_is_no_empty_one(
    object_storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell whose record cannot be read must not be computed again."""
    monkeypatch.setattr("dfkd.storage.object_client.RETRY_S", 0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    ledger = Ledger(object_storage)
    for ask in (ledger.read, ledger.error, ledger.restore, ledger.weights):
        with pytest.raises(Unreachable):
            ask("cell")
    with pytest.raises(Unreachable):
        object_storage.check_writable()


def test_http_is_spoken_only_where_the_endpoint_says_so(
    object_storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert client("s3://bucket").client_options["allow_http"] in (False, "false")


def test_a_store_without_conditional_puts_is_refused(
    object_storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ObjectStorage, "put_if_absent", lambda *_: True)
    with pytest.raises(ValueError, match="does not know conditional puts"):
        object_storage.check_writable()


def test_no_secret_is_in_a_value_that_travels_or_is_shown(object_storage: ObjectStorage) -> None:
    import pickle

    object_storage.write_text(Key("x"), "1")
    assert SECRET.encode() not in pickle.dumps(object_storage)
    assert SECRET not in repr(object_storage) + repr(client(object_storage.bucket))
