"""Where MLflow is: a database or a server, opened at our pace, named without its secrets."""

import logging
import os
import re
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from dfkd.storage import Storage, layout
from dfkd.storage.variables import variable

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
SQLITE = "sqlite:///"
READ_BY_URIS = re.compile(r"[?#%@]")  # signs that mean something else in a URI
SETTINGS = {  # unless the user has set them
    # MLflow's own patience with an absent server is minutes for every call
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",  # nothing is contacted but the tracking server
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def database_uri(path: Path) -> str:
    """Return the URI of an SQLite database at an absolute path, whatever signs are in that.

    From the first folder with such a sign on, all is encoded and decoded by SQLAlchemy (from 2.1
    on), "/" as well: MLflow makes the folders of the path as it stands in the URI.
    """
    plain = next(parent for parent in path.parents if not READ_BY_URIS.search(str(parent)))
    return f"{SQLITE}{plain / quote(str(path.relative_to(plain)), safe='')}"


def database_file(uri: str) -> Path | None:
    """Return the file of an SQLite database, None for any other address."""
    if not uri.startswith(SQLITE):
        return None
    return Path(unquote(uri.removeprefix(SQLITE).split("?")[0]))


def own_database(storage: Storage) -> Path | None:
    """Return the file of the database in a storage; None where a file has no path there."""
    path = storage.path(layout.DATABASE)
    return None if path is None else path.resolve()


def tracking_uri_of(storage: Storage, uri: str | None) -> str | None:
    """Return the URI that was given, by $MLFLOW_TRACKING_URI otherwise, or the storage's own.

    None where nothing is named and the storage cannot hold a database. ValueError in one line for
    an address of a server that is none.
    """
    named = uri or variable("MLFLOW_TRACKING_URI")
    if named:
        _check_address(named)
        return named
    database = own_database(storage)
    return None if database is None else database_uri(database)


def _check_address(uri: str) -> None:
    """Raise ValueError for an address of a server that nobody can call: it is no server away."""
    if not is_server(uri):
        return
    try:
        parts = urlsplit(uri)
        good = bool(parts.hostname) and parts.port != 0
    except ValueError:  # what it says may quote a password
        good = False
    if not good:
        raise ValueError(
            f"{shown_uri(uri)} is no address of an MLflow server: --tracking-uri, or "
            "MLFLOW_TRACKING_URI, needs a host and perhaps a port, as in http://HOST:5000, and a "
            "password's special signs encoded, / as %2F"
        )


def required_tracking_uri(storage: Storage, uri: str | None) -> str:
    """Return the same. ValueError in one line where there is none."""
    found = tracking_uri_of(storage, uri)
    if found is None:
        raise ValueError(
            f"MLflow needs a server beside {storage}, which cannot hold its database: name one by "
            "--tracking-uri or MLFLOW_TRACKING_URI, such as http://HOST:5000, or a file on this "
            "machine, such as sqlite:////home/me/runs.db"
        )
    return found


def artifacts_of(storage: Storage, uri: str) -> Path:
    """Return where the files of a database's runs lie: in the storage, or beside the database."""
    path = storage.path(layout.ARTIFACTS)
    if path is None:
        path = (database_file(uri) or Path(layout.DATABASE)).parent / layout.ARTIFACTS.name
    return path.resolve()


def is_database(uri: str) -> bool:
    """Return whether MLflow opens this URI itself; anything else is a server."""
    return uri.split("+")[0].split(":")[0] in DATABASES


def is_server(uri: str) -> bool:
    """Return whether this is the address of an MLflow server."""
    return uri.startswith(("http://", "https://"))


def shown_uri(uri: str) -> str:
    """Return the URI without what may be a secret: user, password, query.

    A password may hold any sign, also those that end an address.
    """
    has_user = not uri.startswith((SQLITE, "file:"))
    without = re.sub(r"//.*@", "//", uri, flags=re.DOTALL) if has_user else uri
    return without.split("?")[0]


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

    if (file := database_file(uri)) is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    timeout = {"connect_timeout": 10} if uri.startswith(("postgresql", "mysql")) else {}
    engine = sqlalchemy.create_engine(uri, connect_args=timeout)
    engine.connect().close()
    engine.dispose()
