"""The source that a user's class is made of, in a form that comments and layout do not change.

A class is followed by name: to its bases, the networks that it builds, the functions and constants
that it uses, what these use in turn, and into the user's other modules that they come from. What
stands beside it in the same file, another loss or a study, is not part of it. Not seen are what a
program does to its own names (`globals()`, `setattr`), data files and installed packages.
"""

import ast
import sys
import sysconfig
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import resolve_name
from pathlib import Path

from dfkd.identity import digest

ALL = "*"  # in the place of a name: everything in a module
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
IMPORTS = (ast.Import, ast.ImportFrom)


@cache  # read once: a file that is edited later does not change what this process has imported
def source_digest(module: str, name: str) -> str | None:
    """Return 16 hexadecimal digits for the code of the class `name` in a module.

    None where it lies in no file, as what a notebook's cell or an interactive session defines.
    """
    taken = statements_of(module, name)
    return digest([[part, *texts] for part, texts in taken], 16) if taken else None


def statements_of(module: str, name: str) -> list[tuple[str, list[str]]]:
    """Return the statements that a class reaches, as text without comments, by their modules."""
    return _Reader(root=module.split(".")[0]).reached(module, name.split(".")[0])


@dataclass(frozen=True)
class _Statement:
    """A statement at the top of a module, and the names that it binds or changes."""

    node: ast.stmt
    changes: frozenset[str]


class _Reader:
    """Follows names through the modules of a user; those below `root` are so in any case."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._modules: dict[str, list[_Statement]] = {}

    def reached(self, module: str, name: str) -> list[tuple[str, list[str]]]:
        """Return what a name of a module reaches: each module with the text of its statements."""
        taken: defaultdict[str, set[int]] = defaultdict(set)
        left, seen = [(module, name)], set[tuple[str, str]]()
        while left:
            at = left.pop()
            if at not in seen:
                seen.add(at)
                for index in self._needed(*at) - taken[at[0]]:
                    taken[at[0]].add(index)
                    left += self._names_in(self._statements(at[0])[index].node, at[0])
        return [(name, self._texts(name, taken[name])) for name in sorted(taken) if taken[name]]

    def _texts(self, module: str, indices: Iterable[int]) -> list[str]:
        """Return definitions and imports sorted, as moving one changes nothing, then the rest."""
        nodes = [self._statements(module)[index].node for index in sorted(indices)]
        free = [node for node in nodes if isinstance(node, DEFINITIONS + IMPORTS)]
        return sorted(map(ast.unparse, free)) + [ast.unparse(n) for n in nodes if n not in free]

    def _needed(self, module: str, name: str) -> set[int]:
        """Return the statements that bind or change a name; all where none is seen to do so."""
        statements = self._statements(module)
        found = {i for i, s in enumerate(statements) if name in s.changes}
        return found | self._stars(module) if found else set(range(len(statements)))

    def _stars(self, module: str) -> set[int]:
        return {i for i, s in enumerate(self._statements(module)) if ALL in s.changes}

    def _names_in(self, node: ast.stmt, module: str) -> Iterator[tuple[str, str]]:
        """Yield what a statement refers to: names of its module, and of modules it imports from."""
        bound = {name for statement in self._statements(module) for name in statement.changes}
        for part in ast.walk(node):
            match part:
                case ast.Name(id=name) if name in bound:
                    yield module, name
                case ast.Import():
                    yield from ((alias.name, ALL) for alias in part.names)
                case ast.ImportFrom():
                    yield from _imported(part, module)

    def _statements(self, module: str) -> list[_Statement]:
        """Return a user's module without docstrings, each import by itself; [] for others."""
        if module not in self._modules:
            path = _file_of(module)
            users = path is not None and self._is_users(module, path)
            body = _body(path) if path is not None and users else []
            self._modules[module] = [_Statement(node, frozenset(_changes(node))) for node in body]
        return self._modules[module]

    def _is_users(self, module: str, path: Path) -> bool:
        first = module.split(".")[0]
        installed = {"site-packages", "dist-packages"} & set(path.parts)
        standard = path.is_relative_to(sysconfig.get_path("stdlib"))
        return first == self.root or (first != "dfkd" and not installed and not standard)


def _body(path: Path) -> list[ast.stmt]:
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [part for part in node.body if not _is_text(part)]
    return [single for node in tree.body for single in _singles(node)]


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _singles(node: ast.stmt) -> list[ast.stmt]:
    match node:
        case ast.Import(names=names):
            return [ast.Import([name]) for name in names]
        case ast.ImportFrom(module=module, names=names, level=level):
            return [ast.ImportFrom(module, [name], level) for name in names]
    return [node]


def _changes(node: ast.AST) -> Iterator[str]:
    """Yield the names that a statement binds, or of which it sets or calls a part: `x.y()`."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name  # what its body does is done when it is called
            return
        case ast.Import() | ast.ImportFrom():
            yield from (alias.asname or alias.name.split(".")[0] for alias in node.names)
        case ast.Name(id=name, ctx=ast.Store()):
            yield name
        case ast.Attribute(ctx=ast.Store()) | ast.Subscript(ctx=ast.Store()):
            yield from _base(node)
        case ast.Expr(value=ast.Call() as call):
            yield from _base(call.func) if isinstance(call.func, ast.Attribute) else ()
            yield from (argument.id for argument in call.args if isinstance(argument, ast.Name))
    for part in ast.iter_child_nodes(node):
        yield from _changes(part)


def _base(node: ast.expr) -> Iterator[str]:
    """Yield `x` of `x.y[0].z`."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id


def _imported(node: ast.ImportFrom, module: str) -> Iterator[tuple[str, str]]:
    """Yield modules and names of `from package import name`; a name may be a module as well."""
    loaded = sys.modules.get(module)
    package = (loaded and loaded.__package__) or module.rpartition(".")[0]
    source = resolve_name("." * node.level + (node.module or ""), package)
    for alias in node.names:
        is_module = _file_of(f"{source}.{alias.name}") is not None
        yield (f"{source}.{alias.name}", ALL) if is_module else (source, alias.name)


def _file_of(module: str) -> Path | None:
    """Return a module's file without importing it; None where it has no Python source."""
    loaded = sys.modules.get(module)
    spec = None if loaded is not None else _spec_of(module)
    origin = getattr(loaded, "__file__", None) if spec is None else spec.origin
    path = Path(origin) if origin else None
    return path if path is not None and path.suffix == ".py" and path.is_file() else None


def _spec_of(module: str) -> ModuleSpec | None:
    package = module.rpartition(".")[0]
    if not package:
        return PathFinder.find_spec(module)
    loaded = sys.modules.get(package)
    spec = None if loaded is not None else _spec_of(package)
    folders = getattr(loaded, "__path__", None) if spec is None else spec.submodule_search_locations
    return PathFinder.find_spec(module, folders) if folders else None
