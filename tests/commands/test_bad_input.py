"""Bad input: one line that says what is wrong and how to mend it, exit code 2, nothing written."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import PROJECTS, ROOT

CASES = {
    "unknown space": (("sweep", "search_spaces.digit"), {}, "did you mean search_spaces.digits?"),
    "unknown study": (("ablate", "ablations.component"), {}, "did you mean ablations.components?"),
    "unknown task": (("distill", "digit"), {}, "did you mean digits?"),
    "no study": (("ablate", "--blocks", "3"), {}, "name a study"),
    "unknown option": (
        ("sweep", "--trial-count", "3"),
        {},
        "unrecognized arguments: --trial-count",
    ),
    "no trials": (("sweep", "tiny_space", "--trials", "0"), {}, "trials must be 1 to 100,000"),
    "too many workers": (
        ("sweep", "tiny_space", "--workers", "500"),
        {},
        "ask for fewer with --workers",
    ),
    "a batch for two": (
        ("distill", "--workers", "2", "--set", "schedule.batch=63"),
        {},
        "batch=63, workers=2: ask for another number with --workers",
    ),
    "no range": (("distill", "--workers", "2:"), {}, "a range such as 2:8, but got '2:'"),
    "a range on GPUs": (("distill", "--workers", "2:8", "--gpus", "1"), {}, "leave out --gpus"),
    "steps": (("distill", "digits", "--steps", "0"), {}, "got steps=0"),
    "no such GPU": (("distill", "digits", "--gpus", "64"), {}, "leave out --gpus"),
    "storage": (
        ("sweep", "tiny_space", "--storage", "a_file/runs"),
        {},
        "name another one with --storage",
    ),
    "storage elsewhere": (
        ("sweep", "tiny_space", "--storage", "hdfs://host/runs"),
        {},
        "az://CONTAINER/PREFIX, but got 'hdfs://host/runs'",
    ),
    "no pool": (("score", "bad_recipes"), {"BAD": "no pool"}, "nowhere"),
    "empty pool": (("score", "bad_recipes"), {"BAD": "empty pool"}, "empty"),
    "corrupt teacher": (("distill", "bad_recipes"), {"BAD": "corrupt teacher"}, "save it again"),
    "ratio": (("distill", "bad_recipes"), {"BAD": "ratio"}, "must lie in (0, 1]"),
}


@pytest.mark.parametrize("case", CASES)
def test_one_line_and_exit_code_2(
    case: str, run_command: Callable[..., Any], tmp_path: Path
) -> None:
    (command, *arguments), extra, expected = CASES[case]
    for file in PROJECTS.glob("*.py"):
        shutil.copy(file, tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "a_file").touch()
    (tmp_path / "corrupt.safetensors").write_bytes(b"not weights")
    before = everything(tmp_path)
    done = run_command(command, *arguments, folder=tmp_path, **extra)
    assert done.returncode == 2, done.stderr
    assert expected in done.stderr
    lines = [line for line in done.stderr.splitlines() if "error: " in line]
    assert len(lines) == 1 and "Traceback" not in done.stderr
    assert everything(tmp_path) == before


def everything(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts)


def test_no_error_shows_how_it_was_written() -> None:
    """`{self.rows=}` in a message would read "got self.rows=401"; `{self}` is a whole repr."""
    written = re.compile(r"\{(self|where)(\.\w+)*=\}|got \{self\}")
    found = [path for path in (ROOT / "dfkd").rglob("*.py") if written.search(path.read_text())]
    assert found == []
