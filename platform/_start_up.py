"""Makes `python -m platform.<command>` work from any directory where the project is installed.

The standard library comes before installed packages, so `platform` is its module there. The wheel
therefore puts this file, as `_dfkd_platform`, and a .pth file that imports it into site-packages
(pyproject.toml). At the start of every Python they arrange that this module, once someone imports
it, finds the commands as its submodules. Nothing that can
wait is imported here: this is paid at every start.
"""

import os
import sys

TYPE_CHECKING = False  # the one in `typing` would cost more than all the rest
if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.machinery import ModuleSpec


class CommandFolder:
    """A `__path__`: the folder `platform` beside the `dfkd` that an import finds at that moment.

    Commands and library so come from one copy, whatever else is installed or on the path.
    """

    def __iter__(self) -> "Iterator[str]":
        from importlib.util import find_spec

        dfkd = find_spec("dfkd")
        for folder in (dfkd and dfkd.submodule_search_locations) or ():
            yield os.path.join(os.path.dirname(folder), "platform")


class CommandFinder:
    """Finds `platform` as Python does, and gives a plain module of this name the commands."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> "ModuleSpec | None":
        if name != "platform":
            return None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name)
        if (
            spec is not None and spec.submodule_search_locations is None
        ):  # else it is a checkout, complete in itself
            spec.submodule_search_locations = CommandFolder()  # type: ignore[assignment]
        return spec


sys.meta_path.insert(0, CommandFinder)
_early = sys.modules.get("platform")  # another start-up file may have imported it already
if _early is not None and not hasattr(_early, "__path__"):
    _early.__path__ = CommandFolder()  # type: ignore[assignment]
