"""Where MLflow is: a database or a server, opened at our pace, named without its secrets."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
SETTINGS = {  # unless the user has set them
    # MLflow's own patience with an absent server is minutes for every call
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",  # nothing is contacted but the tracking server
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def is_database(uri: str) -> bool:
    """Return whether MLflow opens this URI itself; anything else is a server."""
    return uri.split("+")[0].split(":")[0] in DATABASES


def without_credentials(text: str) -> str:
    """Return the text with user and password taken out of every address in it."""
    return re.sub(r"//[^/\s]*@", "//", text)


def settle() -> None:
    """Import MLflow with our SETTINGS and without its messages on the terminal.

    Called before anything else imports MLflow, which reads the settings and sets up its loggers
    then.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401

    for logger in ("mlflow", "alembic", "urllib3.connectionpool"):
        # all that matters arrives as an exception
        logging.getLogger(logger).setLevel(logging.CRITICAL)


def knock(uri: str) -> None:
    """Open the database once and close it; raises what the database raises.

    MLflow itself tries for 100 seconds to open a database that is not there.
    """
    import sqlalchemy

    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///").split("?")[0]).parent.mkdir(parents=True, exist_ok=True)
    timeout = {"connect_timeout": 10} if uri.startswith(("postgresql", "mysql")) else {}
    engine = sqlalchemy.create_engine(uri, connect_args=timeout)
    engine.connect().close()
    engine.dispose()
