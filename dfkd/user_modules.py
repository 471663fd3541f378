"""Loads the user's modules: a space or a study is named as in an import, `my_project.my_space`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from dfkd.reporting.nearest import nearest


def load(name: str, attribute: str, folder: str) -> Any:
    """`attribute` of the module `name`. ValueError with one line if there is no such module or
    attribute.

    The working directory is on the path, as for `python -m`. `folder` is where ours lie, to name
    the nearest ones.
    """
    _find_in_working_directory()
    if not all(part.isidentifier() for part in name.split(".")):  # a path, say
        raise ValueError(
            f"a module is named as in an import, but got {name!r}: {_nearest(name, folder)}"
        )
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise  # the module is there, but something that it imports is not
        raise ValueError(f"there is no module {name}: {_nearest(name, folder)}") from error
    if not hasattr(module, attribute):
        raise ValueError(
            f"the module {name} has no `{attribute}`: define it there, as in {folder}/"
        )
    return getattr(module, attribute)


def module_exists(name: str) -> bool:
    """Whether a name can be a module's: it has dots, or Python finds it."""
    _find_in_working_directory()
    return "." in name or (name.isidentifier() and importlib.util.find_spec(name) is not None)


def _find_in_working_directory() -> None:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))


def _nearest(name: str, folder: str) -> str:
    package = importlib.import_module(folder)
    ours = [
        f"{folder}.{path.stem}"
        for root in package.__path__
        for path in sorted(Path(root).glob("[!_]*.py"))
    ]
    return nearest(name, ours)
