"""Any locale, and a reader that goes away: what commands print is no error."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import PROJECTS, ROOT, environment

from dfkd.reporting.command import run
from dfkd.reporting.console import Console
from dfkd.reporting.streams import in_one_line, replacement

C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
TEXTS = {
    "≥ 3 ± 1 – “so”…": '>= 3 +/- 1 - "so"...',
    "é ü ﬁ": "e u fi",
    "没有": "\\u6ca1\\u6709",
    "caf\udcc3\udca9": "café",  # bytes of an argument that an ASCII locale cannot read
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_sign_that_a_stream_cannot_show_is_written_otherwise(tmp_path: Path, text: str) -> None:
    code = (
        "from dfkd.reporting.streams import show_everything\n"
        "from dfkd.reporting.console import Console\n"
        f"show_everything(); print({text!a}); Console().line({text!a})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(**C_LOCALE), capture_output=True, check=True
    )
    assert done.stdout.decode().splitlines() == [TEXTS[text]] * 2


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "gbk"])
def test_every_encoding_takes_every_text(encoding: str) -> None:
    import codecs

    codecs.register_error("dfkd.test", replacement)
    for text in TEXTS:
        assert text.encode(encoding, "dfkd.test")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [("ablate", 1), ("show --help", 0), ("distill --help", 0)],  # argparse says 0
)
def test_a_closed_output_is_no_traceback(tmp_path: Path, arguments: str, code: int) -> None:
    """The pipe's reading end is closed before the command begins: every write fails."""
    reading, writing = os.pipe()
    os.close(reading)
    command, *options = arguments.split()
    done = subprocess.run(
        [sys.executable, "-m", f"platform.{command}", *options],
        cwd=tmp_path,
        env=environment(),
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (code, b"")


@pytest.mark.parametrize(
    "closed", ["1>&-", "2>&-", "0<&-", "1>&- 2>&-", "0<&- 2>&-", "0<&- 1>&- 2>&-"]
)
@pytest.mark.parametrize("option", ["", "--json"])
def test_streams_that_were_closed_before_take_nothing_from_the_others(
    tmp_path: Path, closed: str, option: str
) -> None:
    code = "from dfkd.cli import run; run(lambda output: print('said'))"
    done = subprocess.run(
        f'"{sys.executable}" -c "{code}" {option} {closed}',
        shell=True,
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr
    if "1>" in closed:
        assert done.stdout == ""
    elif option:
        assert json.loads(done.stdout)["status"] == "done"
    else:
        assert done.stdout == "said\n"


def test_a_command_in_a_locale_without_signs(tmp_path: Path) -> None:
    (tmp_path / "question.py").write_text(
        (PROJECTS / "tiny_study.py").read_text(encoding="utf-8").replace("anything", "≥ 1 中文"),
        encoding="utf-8",
    )
    (tmp_path / "tiny_space.py").write_bytes((PROJECTS / "tiny_space.py").read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "platform.ablate", "question", "--dry-run", "--storage", "ré"],
        cwd=tmp_path,
        env=environment(**C_LOCALE),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0 and b"4 cells" in done.stdout and done.stderr == b""


def text_calls(path: Path) -> list[str]:
    """Return the calls in a file that read or write text in the encoding of the locale."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or any(k.arg == "encoding" for k in node.keywords):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
        whose = ast.unparse(node.func)
        of_storage = whose.endswith(("storage.write_text", "self.write_text"))
        modes = [a.value for a in node.args if isinstance(a, ast.Constant)]
        as_text = name == "open" and any(m in ("r", "w", "a", "x", "r+", "w+") for m in modes)
        if (name in ("read_text", "write_text") and not of_storage) or as_text:
            found.append(f"{path}:{node.lineno} {whose}")
    return found


def test_every_file_is_read_and_written_as_utf_8() -> None:
    folders = ("dfkd", "platform", "ablations", "search_spaces", "docs")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert [call for path in paths for call in text_calls(path)] == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a folder\nof two lines", "a folder\\nof two lines"),
        ("\x1b[31mred\r", "\\x1b[31mred\\r"),
        ("\u202egnp.x\u2028", "\\u202egnp.x\\u2028"),
        ("没有 é [red] 😀", "没有 é [red] 😀"),
    ],
)
def test_a_name_in_an_error_neither_breaks_the_line_nor_steers_the_terminal(
    text: str, line: str
) -> None:
    assert in_one_line(text) == line


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_a_stdout_on_a_full_disk_is_one_line(arguments: list[str]) -> None:
    code = "from dfkd.cli import run; run(lambda output: print('said'))"
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: the disk is full")
    assert "Traceback" not in done.stderr


def test_a_working_folder_that_was_removed_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    monkeypatch.setattr(sys, "argv", ["show"])
    with pytest.raises(SystemExit) as ended:
        run(lambda output: None)
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "error: the working folder was removed: cd to one that is there\n"
    )


@pytest.mark.parametrize("columns", ["0", "00", "abc", "20"])
def test_a_terminal_that_says_no_width_shows_all_the_same(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    Console().line("a line")
    assert capsys.readouterr().out == "a line\n"
