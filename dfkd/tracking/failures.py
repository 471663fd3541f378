"""What MLflow lets pass when something fails, in one place: its own exceptions, its database's,
artifact stores'.
"""

from __future__ import annotations

import sys

# Of the clients of artifact stores: MLflow hands a file to them and lets pass what they raise,
# which is no OSError. By module, for most of these packages are not installed where they are not
# used; what was never imported raises nothing.
STORES = {
    "botocore.exceptions": (
        "BotoCoreError",
        "ClientError",
    ),  # S3: no credentials, nobody there; refused by the bucket
    "boto3.exceptions": ("Boto3Error",),  # S3: an upload in parts that failed
    "azure.core.exceptions": ("AzureError",),  # Azure's blobs and data lake
    "google.api_core.exceptions": ("GoogleAPIError",),  # Google's storage: answers
    "google.auth.exceptions": ("GoogleAuthError",),  # and credentials
    "google.resumable_media.common": ("InvalidResponse", "DataCorruption"),  # and uploads in parts
    "b2sdk.v2.exception": ("B2Error",),
    "ftplib": ("Error",),  # a refused login or command
    "paramiko.ssh_exception": ("SSHException",),  # SFTP
    "requests.exceptions": (
        "HTTPError",
    ),  # a server answered an upload: too large, forbidden, broken
}


def of_stores() -> tuple[type[BaseException], ...]:
    """Of artifact stores: these answered, or cannot be used. Asked for when an exception is there,
    see above.
    """
    loaded = {module: sys.modules[module] for module in STORES if module in sys.modules}
    return (
        ImportError,
        *(getattr(found, name) for module, found in loaded.items() for name in STORES[module]),
    )


def failures() -> tuple[type[BaseException], ...]:
    """All that a call of MLflow raises for reasons of the outside world."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    # OSError: requests', whose server does not answer, and a full or forbidden disk.
    # SQLAlchemyError: a database that is away or locked, where MLflow does not wrap it
    return (MlflowException, SQLAlchemyError, OSError, *of_stores())
