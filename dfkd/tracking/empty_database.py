"""MLflow's database before its first run: made once on a node and copied from then on.

MLflow makes one by dozens of migrations, which takes three seconds of a core.
"""

import contextlib
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

from dfkd.storage.layout import Key
from dfkd.storage.node_cache import Download, digest_of, node_cache


def begin_database(file: Path) -> None:
    """Put MLflow's empty tables where no database is yet.

    Where that cannot be done nothing is there, and MLflow makes its tables itself.
    """
    if file.exists():
        return
    half = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    # any failure of what MLflow does inside: it says so better when it makes the tables itself
    with contextlib.suppress(Exception):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(empty_database(), half)
            os.link(half, file)  # unlike a renaming, never over what another process has made
        finally:
            half.unlink(missing_ok=True)


def empty_database() -> Path:
    """Return a database with the tables of this MLflow and nothing in them."""
    from mlflow.version import VERSION

    def make(half: Path, tag: str) -> Download | None:
        if tag:
            return None
        _make_tables(half)
        return Download(tag=VERSION, digest=digest_of(half))

    return node_cache().file(Key(f"mlflow-{VERSION}.db"), make)


def _make_tables(file: Path) -> None:
    import sqlalchemy
    from mlflow.store.db import utils

    make_tables: Any = utils._initialize_tables  # MLflow has no public name for it

    engine = sqlalchemy.create_engine(f"sqlite:///{file}")
    try:
        make_tables(engine)
    finally:
        engine.dispose()
