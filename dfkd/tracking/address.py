"""Where MLflow is: a database or a server, how to knock at it, and how to name it without its
secrets.
"""

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
    """Whether MLflow opens this itself; anything else is a server."""
    return uri.split("+")[0].split(":")[0] in DATABASES


def without_credentials(text: str) -> str:
    return re.sub(r"//[^/\s]*@", "//", text)


def settle() -> None:
    """Before MLflow is imported, and after: it sets up its loggers by itself."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401

    for logger in ("mlflow", "alembic", "urllib3.connectionpool"):
        logging.getLogger(logger).setLevel(
            logging.CRITICAL
        )  # all that matters arrives as an exception


def knock(uri: str) -> None:
    """MLflow tries for 100 seconds to open a database that is not there; once is enough."""
    import sqlalchemy

    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///").split("?")[0]).parent.mkdir(parents=True, exist_ok=True)
    timeout = {"connect_timeout": 10} if uri.startswith(("postgresql", "mysql")) else {}
    engine = sqlalchemy.create_engine(uri, connect_args=timeout)
    engine.connect().close()
    engine.dispose()
