"""What a call of MLflow may raise: its own exceptions, its database's and its artifact stores'."""

import re
import sys

from dfkd.tracking.address import shown_uri, without_credentials

# Exceptions of the clients of artifact stores. MLflow hands a file to a client and lets pass what
# that raises, which is no OSError. By module: most of these packages are not installed where they
# are not used, and what was never imported raises nothing.
STORES = {
    # S3: no credentials, nobody there; refused by the bucket
    "botocore.exceptions": ("BotoCoreError", "ClientError"),
    "boto3.exceptions": ("Boto3Error",),  # S3: an upload in parts that failed
    "azure.core.exceptions": ("AzureError",),  # Azure's blobs and data lake
    "google.api_core.exceptions": ("GoogleAPIError",),  # Google's storage: answers
    "google.auth.exceptions": ("GoogleAuthError",),  # and credentials
    "google.resumable_media.common": ("InvalidResponse", "DataCorruption"),  # and uploads in parts
    "b2sdk.v2.exception": ("B2Error",),
    "ftplib": ("Error",),  # a refused login or command
    "paramiko.ssh_exception": ("SSHException",),  # SFTP
    # a server answered an upload: too large, forbidden, broken
    "requests.exceptions": ("HTTPError",),
}

REFUSALS = ("INVALID_PARAMETER_VALUE", "INVALID_STATE", "RESOURCE_DOES_NOT_EXIST")


def of_stores() -> tuple[type[BaseException], ...]:
    """Return the exceptions of artifact stores that refused, or that cannot be used here.

    Asked for when an exception is there: by then the client that raised it has been imported.
    """
    loaded = {module: sys.modules[module] for module in STORES if module in sys.modules}
    return (
        ImportError,
        *(getattr(found, name) for module, found in loaded.items() for name in STORES[module]),
    )


def is_refusal(error: BaseException) -> bool:
    """Return whether MLflow answered and refused this one entry, so that the next may do."""
    from mlflow.exceptions import MlflowException

    return isinstance(error, MlflowException) and error.error_code in REFUSALS


def failures() -> tuple[type[BaseException], ...]:
    """Return all that a call of MLflow raises for reasons of the outside world."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    # OSError: requests', whose server does not answer, and a full or forbidden disk.
    # SQLAlchemyError: a database that is away or locked, where MLflow does not wrap it
    return (MlflowException, SQLAlchemyError, OSError, *of_stores())


def reason(error: BaseException, uri: str) -> str:
    """Return one short line of an error message that may hold pages, and the URI's secrets."""
    text = without_credentials(str(error).replace(uri, shown_uri(uri)))
    known = re.findall(r"\[Errno -?\d+\] ([^'\")]+)", text)
    lines = text.strip().splitlines() or [type(error).__name__]
    return str(known[-1] if known else lines[0][:200])
