"""Loads the user's modules, named as in an import: `my_project.my_space`. Tells their mistakes."""

import ast
import importlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from os import sep
from pathlib import Path
from typing import Any, TypeVar

from dfkd.reporting.failures import FRAME, reason_in
from dfkd.reporting.nearest import nearest

T = TypeVar("T")
EXAMPLES = ("study", "study_of", "space", "default")  # what our own modules define
PACKAGES = ("ablations", "search_spaces")  # ours; a project may have folders of these names, too


def load(name: str, attribute: str, folder: str, known: Iterable[str] | None = None) -> Any:
    """Return an attribute of a module that is named as in an import.

    The working directory is on the path, as for `python -m`. folder: where ours lie, to name the
    nearest ones; known: other names than these. Raises ValueError with one line if there is no such
    module or attribute, or if the module itself fails.
    """
    _find_in_working_directory()
    known = modules_in(folder) if known is None else known
    if not all(part.isidentifier() for part in name.split(".")):
        raise ValueError(
            f"a module is named as in an import, but got {name!r}: "
            f"{_as_module(name) or nearest(name, known)}"
        )
    with users_code(unplaced=f"the module {name}"):
        try:
            _join_folders(name.split(".")[0])
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
                raise  # the module is there, but something that it imports is not
            raise ValueError(f"there is no module {name}: {nearest(name, known)}") from error
    if not hasattr(module, attribute):
        ours = f", as in {folder}/" if attribute in EXAMPLES else ""
        raise ValueError(f"the module {name} has no `{attribute}`: define it there{ours}")
    return getattr(module, attribute)


def load_a(
    kind: type[T], name: str, attribute: str, folder: str, known: Iterable[str] | None = None
) -> T:
    """Return an attribute that is of this kind; see `load`. ValueError where it is another."""
    return of_kind(kind, load(name, attribute, folder, known), f"{name}.{attribute}")


def of_kind(kind: type[T], value: object, called: str) -> T:
    """Return a value of a user's that is of this kind. ValueError with one line where it is not."""
    if not isinstance(value, kind):
        article = "an" if kind.__name__[0] in "AEIOUaeiou" else "a"
        raise ValueError(f"{called} must be {article} {kind.__name__}, but got {value!r:.200}")
    return value


def module_exists(name: str) -> bool:
    """Return whether a name can be a module's: it has dots, or Python finds it."""
    _find_in_working_directory()
    return "." in name or (name.isidentifier() and importlib.util.find_spec(name) is not None)


def _find_in_working_directory() -> None:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))


def _as_module(path: str) -> str:
    """Return what to write for a path of a file, "" for what is none."""
    file = Path(path.removesuffix(".py"))
    if not path.endswith(".py") and not Path(f"{path}.py").is_file():
        return ""
    if not file.name.isidentifier():
        renamed = re.sub(r"\W", "_", file.name)
        return f"rename the file, to {renamed}.py say: names in imports have letters, digits and _"
    parts = [part for part in file.parts if part != "."]
    if not all(part.isidentifier() for part in parts):  # an absolute path, or one with ".."
        return "go to the folder of your project, and write its package.module"
    return f"write {'.'.join(parts)}"


def _join_folders(package: str) -> None:
    """Let a package of PACKAGES hold the project's modules and ours; the project's come first.

    Python would take the first one that it finds, and hide the other.
    """
    if package not in PACKAGES:
        return
    module = importlib.import_module(package)
    module.__path__ = list(dict.fromkeys(map(str, _roots(package))))


def _roots(package: str) -> list[Path]:
    """Return the folders in which the modules of this package lie."""
    found = importlib.util.find_spec(package)
    known = (found and found.submodule_search_locations) or ()
    around = [Path.cwd()] if package in PACKAGES else []
    ours = [Path(__file__).parents[1]] if package in PACKAGES else []
    roots = [
        *(folder / package for folder in around),
        *map(Path, known),
        *(folder / package for folder in ours),
    ]
    return [root for root in dict.fromkeys(roots) if root.is_dir()]


def modules_in(folder: str) -> dict[str, Path]:
    """Return the modules of a package, such as "ablations", by name with their files."""
    paths = [path for root in _roots(folder) for path in sorted(root.glob("[!_]*.py"))]
    names = {f"{folder}.{path.stem}": path for path in reversed(paths)}
    return dict(sorted(names.items()))


def argument_in(path: Path, name: str) -> str:
    """Return the first text that a file passes as the argument `name`; "" where it passes none.

    The file is read and not run: a study's question is known without what it imports.
    """
    for node in ast.walk(ast.parse(path.read_bytes())):
        match node:
            case ast.keyword(arg=argument, value=ast.Constant(value=str(text))):
                if argument == name:
                    return text
    return ""


@contextmanager
def users_code(
    passing: tuple[type[Exception], ...] = (), unplaced: str = "", called: str = ""
) -> Iterator[None]:
    """Run code of the user's; whatever it raises is a ValueError of one line, with file and line.

    unplaced: what it is said of where no line of the user's is known. called: what it is said of in
    any case. ValueErrors are lines for users already and stay as they are, but of what is `called`,
    as does what is in `passing`.
    """
    lines: tuple[type[Exception], ...] = passing if called else (ValueError, *passing)
    try:
        yield
    except lines:
        raise
    except (Exception, SystemExit) as error:  # any mistake that Python code can hold
        fault = fault_in(traceback.format_exc(), unplaced)
        raise ValueError(f"{called}: {fault}" if called else fault) from error


def fault_in(log: str, unplaced: str = "") -> str:
    """Return one line for a traceback: what was raised, and where in the user's own code.

    unplaced: what stands in front where that is not known.
    """
    words = reason_in(log)
    frames = [found for found in FRAME.findall(log) if _is_users(found[0])]
    if not frames:
        return f"{unplaced}: {words}" if unplaced else words
    file, line, function = frames[-1]
    inside = f" in {function}" if function else ""  # a mistake in the syntax is in no function
    return f"{Path(file).name}:{line}{inside}: {words}"


def _is_users(file: str) -> bool:
    """Return whether a file is neither ours nor of Python or an installed package."""
    ours = str(Path(__file__).parent)
    installed = ("site-packages", f"{sep}lib{sep}python", "<")
    return not file.startswith(ours) and not any(part in file for part in installed)
