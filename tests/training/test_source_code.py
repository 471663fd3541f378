"""What counts as a change of a class's code, and what does not."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dfkd.training.source_code import source_digest, statements_of

LOSS = '''"""My losses."""

from dataclasses import dataclass

from my_project.helpers import scale, unused
from my_project import tables

SHARP = 2.0
OTHER = 3.0
CHOICES = {"mean": 1.0}


def reduced(values):
    """The mean."""
    return values.mean() * SHARP


class Module:
    def forward(self, student, teacher):
        return scale(reduced(student - teacher)) * CHOICES["mean"] * tables.FACTOR


@dataclass(frozen=True, kw_only=True)
class Mine:
    """A loss."""

    weight: float = 1.0

    def module(self, sizes):
        return Module()


class Another:
    pass


recipe = Mine(weight=OTHER)
'''
HELPERS = "DEPTH = 1\n\n\ndef scale(x):\n    return x * DEPTH\n\n\ndef unused(x):\n    return x\n"


@pytest.fixture
def digest_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., str | None]]:
    """`digest_with(losses=("old", "new"))`: the digest of Mine after a replacement in that file."""
    folder = tmp_path / "my_project"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    files = {"__init__": "", "losses": LOSS, "helpers": HELPERS, "tables": "FACTOR = 1\n"}

    def digest(**changes: tuple[str, str]) -> str | None:
        for name, text in files.items():
            old, new = changes.get(name, ("", ""))
            assert old in text
            (folder / f"{name}.py").write_text(text.replace(old, new) if old else text)
        source_digest.cache_clear()
        return source_digest("my_project.losses", "Mine")

    yield digest
    source_digest.cache_clear()
    assert "my_project" not in sys.modules  # nothing is imported for it


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("losses", "student - teacher", "teacher - student"),
        ("losses", "values.mean()", "values.sum()"),
        ("losses", "SHARP = 2.0", "SHARP = 4.0"),
        ("losses", '{"mean": 1.0}', '{"mean": 2.0}'),
        ("losses", "OTHER = 3.0", 'OTHER = 3.0\nCHOICES["mean"] = 2.0'),
        ("losses", "recipe =", "Mine.weight = 2.0\nrecipe ="),
        ("losses", "recipe =", "CHOICES.update(mean=2.0)\nrecipe ="),
        ("losses", "OTHER = 3.0", "if True:\n    SHARP = 5.0"),
        ("losses", "helpers import scale", "tables import FACTOR as scale"),
        ("losses", "weight: float = 1.0", "weight: float = 1.0\n    ramp: float = 0.0"),
        ("helpers", "x * DEPTH", "x + DEPTH"),
        ("helpers", "DEPTH = 1", "DEPTH = 2"),
        ("tables", "FACTOR = 1", "FACTOR = 2"),
    ],
)
def test_a_change_that_the_class_can_reach_is_seen(
    digest_with: Callable[..., str | None], file: str, old: str, new: str
) -> None:
    assert digest_with() != digest_with(**{file: (old, new)})


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("losses", '"""A loss."""', '"""The same loss, said better."""'),
        ("losses", '    """The mean."""\n', ""),
        ("losses", "return Module()", "return Module()  # made anew each time"),
        ("losses", "student, teacher):", "student,\n                teacher):"),
        ("losses", "class Another:\n    pass", "class Another:\n    def f(self): return 1"),
        ("losses", "OTHER = 3.0", "OTHER = 4.0"),
        ("losses", "recipe = Mine(weight=OTHER)", "print(Mine(weight=OTHER))"),
        ("losses", "recipe =", 'if __name__ == "__main__":\n    print(Mine())\nrecipe ='),
        ("losses", "import scale, unused", "import scale"),
        ("losses", "import dataclass", "import dataclass, replace"),
        ("helpers", "def unused(x):\n    return x", "def unused(x):\n    return 2 * x"),
    ],
)
def test_what_the_class_does_not_read_is_no_change(
    digest_with: Callable[..., str | None], file: str, old: str, new: str
) -> None:
    assert digest_with() == digest_with(**{file: (old, new)})


def test_a_class_that_comes_unseen_takes_in_its_whole_module(
    digest_with: Callable[..., str | None],
) -> None:
    made = ("class Mine:", "class Hidden:"), ("class Mine:", "class Hidden:\n    more = 1")
    assert digest_with(losses=made[0]) is not None
    assert digest_with(losses=made[0]) != digest_with(losses=made[1])


def test_a_class_without_a_file_has_no_digest() -> None:
    assert source_digest("nowhere_at_all", "Mine") is None


def test_our_own_and_installed_modules_are_not_read(tmp_path, monkeypatch) -> None:
    source = (
        "from dfkd.identity import Piece\nimport torch\n\nclass Mine(Piece):\n    net = torch.nn\n"
    )
    (tmp_path / "plain.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert [name for name, _ in statements_of("plain", "Mine")] == ["plain"]
