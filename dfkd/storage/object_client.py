"""Clients of object stores: addresses, what the environment says of them, and their errors.

Endpoint, region and keys are read from the environment under the names that the stores' own tools
have (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, ...). None of them is kept in a value of ours, and no
message of a client is passed on as it is: it may hold a signed address.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dfkd.storage.storage import Unreachable

if TYPE_CHECKING:  # only storages in an object store need it
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

SCHEMES = ("s3", "gs", "az")
ENDPOINTS = (  # variables with an address, which says by itself that it is without encryption
    *("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    *("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT", "GOOGLE_BASE_URL"),
)
CONNECT_S, STALLED_S, LONGEST_S = 5, 60, 3600
RETRY_S = 180  # an object store may be away for a minute in the middle of a study
QUICK_S = 5  # at the start of a command nobody waits for minutes, and a lease cannot


def check_address(uri: str) -> None:
    """Raise ValueError in one line for what is no "s3://bucket/prefix", "gs://" or "az://".

    Also where the package that reaches object stores is not installed.
    """
    if find_spec("obstore") is None:
        raise ValueError(f"a storage at {uri} needs obstore: pip install 'dfkd-platform[cloud]'")
    parts = urlsplit(uri)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError(
            f"the address of a storage must be {parts.scheme}://BUCKET/PREFIX without user, key or "
            "query: keys belong into the environment, such as AWS_ACCESS_KEY_ID"
        )
    if parts.scheme not in SCHEMES or not parts.netloc or ".." in parts.path.split("/"):
        raise ValueError(
            "the storage must be a folder, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or "
            f"az://CONTAINER/PREFIX, but got {uri!r}"
        )


@cache
def client(bucket: str, quick: bool = False) -> ObjectStore:
    """Return this process's client of a bucket, such as "s3://bucket".

    quick: gives up after seconds. ValueError where the environment does not say what it needs.
    """
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    options: ClientConfig = {
        "allow_http": any(os.environ.get(name, "").startswith("http://") for name in ENDPOINTS),
        "connect_timeout": timedelta(seconds=CONNECT_S),
        "read_timeout": timedelta(seconds=QUICK_S if quick else STALLED_S),
        "timeout": timedelta(seconds=QUICK_S if quick else LONGEST_S),
    }
    retry: RetryConfig = {
        "max_retries": 1 if quick else 30,
        # a quick one asks again where it was refused at once, not where nobody answered
        "retry_timeout": timedelta(seconds=QUICK_S / 2 if quick else RETRY_S),
        "backoff": {
            "init_backoff": timedelta(seconds=0.1),
            "max_backoff": timedelta(seconds=10),
            "base": 2,
        },
    }
    try:
        return from_url(bucket, client_options=options, retry_config=retry)
    except (BaseError, ValueError) as error:
        raise ValueError(
            f"the storage {bucket} cannot be used ({reason(error)}): check its name, and the "
            "account, endpoint, region and keys in the environment"
        ) from None


@contextmanager
def told(address: str) -> Iterator[None]:
    """Turn a client's errors into FileNotFoundError and Unreachable, each in one line.

    What a condition of a request was not met by passes.
    """
    from obstore.exceptions import (
        AlreadyExistsError,
        BaseError,
        NotModifiedError,
        PreconditionError,
    )

    try:
        yield
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no {address}") from None
    except (AlreadyExistsError, NotModifiedError, PreconditionError):
        raise
    except BaseError as error:
        raise Unreachable(
            f"{address} cannot be read or written ({reason(error)}): check its name, that it can "
            "be reached from here, and endpoint, region and keys in the environment"
        ) from None


def reason(error: Exception) -> str:
    """Return what went wrong in a few words, without addresses and what may be secret in them."""
    text = str(error)
    if code := re.search(r"<Code>(\w+)</Code>", text):
        return code[1]
    if status := re.search(r"status code: (\d{3}[ A-Za-z]*)", text):
        return status[1].strip()
    first = re.sub(r"\w+://\S+", "...", text.splitlines()[0] if text else type(error).__name__)
    return first.split(" - ")[-1].removeprefix("Generic ")[:120]
