"""The layout is the only file that names anything below a storage."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import dfkd
from dfkd.storage import layout
from dfkd.storage.layout import Key

ROOT = Path(dfkd.__file__).parent
NAMED = {str(value) for value in vars(layout).values() if isinstance(value, str | Key)}
PLACES = {name for name in NAMED if name.isalpha()}  # ordinary words, too: "cells"
FILES = {
    name for name in NAMED if "." in name and "/" not in name and not name.startswith("dfkd")
} - {"."}
TAKES_NAMES = {"glob", "rglob", "joinpath", "with_name", "Key", "Path", "PurePosixPath"}


def violations(source: str) -> list[str]:
    """Names of the layout, and any other name below a storage, that a file spells itself."""
    tree = ast.parse(source)
    return [f"{line}: {text!r}" for line, text in sorted(set(_spelled(tree)))]


def _spelled(tree: ast.Module) -> Iterator[tuple[int, str]]:
    docstrings = {id(node.body[0].value) for node in ast.walk(tree) if _has_docstring(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in docstrings and _names_a_place(node.value):
                yield node.lineno, node.value
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            for text in _texts(node.right):
                if text in PLACES or _is_below_a_storage(node.left):
                    yield node.lineno, text
        elif isinstance(node, ast.Call) and _name_of(node.func) in TAKES_NAMES:
            for text in (text for argument in node.args for text in _texts(argument)):
                if text.split("/")[0] in PLACES:
                    yield node.lineno, text


def _has_docstring(node: ast.AST) -> bool:
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef
    return isinstance(node, kinds) and ast.get_docstring(node) is not None


def _names_a_place(text: str) -> bool:
    words = text.replace("/", " ").replace(",", " ").split()
    return any(word.strip("():;") in FILES for word in words) or any(
        f"{place}/" in text for place in PLACES - {"train", "tune"}
    )


def _texts(node: ast.expr) -> list[str]:
    return [
        part.value
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    ]


def _is_below_a_storage(node: ast.expr) -> bool:
    return any(
        isinstance(part, ast.Call) and _name_of(part.func) == "local" for part in ast.walk(node)
    ) or (isinstance(node, ast.Name | ast.Attribute) and _name_of(node) == "storage")


def _name_of(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def test_no_other_file_spells_a_place() -> None:
    files = [*ROOT.rglob("*.py"), *(ROOT.parent / "platform").glob("*.py")]
    texts = {str(path): path.read_text() for path in files if path != Path(layout.__file__)}
    found = {path: violations(text) for path, text in texts.items()}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "source",
    [
        'folder / "cells" / cell',
        'storage.glob("cells/*/record.json")',
        'path = folder / "record.json"',
        'x = f"cells/{cell}/error.txt"',
        'storage / "mine"',
        'storage.local(layout.POOLS) / f"own-{name}"',
        'print("the file mlflow.db")',
        'Key("pools") / name',
    ],
)
def test_a_place_that_is_spelled_is_found(source: str) -> None:
    assert violations(source)


@pytest.mark.parametrize(
    "source",
    [
        '"""Cells lie in cells/, each with record.json."""',
        'console.progress("cells", 3)',
        'storage.local(layout.pool(f"own-{name}"))',
        'row["scores"], {"teacher": 1}',
        'folder / f"{digest}.csv"',
    ],
)
def test_other_words_are_left_alone(source: str) -> None:
    assert not violations(source)


def test_a_key_stays_below_its_storage() -> None:
    keys = [layout.cell("a"), layout.scores("t" * 64, "d"), layout.run_context("s"), layout.ROOT]
    assert [str(key) for key in keys] == [
        "cells/a",
        "scores/tttttttttttt/d.parquet",
        "studies/s/setting.json",
        ".",
    ]
    assert all(not key.is_absolute() for key in keys)
