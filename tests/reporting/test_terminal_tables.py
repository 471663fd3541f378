"""Tables in a terminal: numbers are whole at any width, names are shown as they are."""

import re
from collections import Counter

import pytest

from dfkd.reporting.console import Console

HEADER = ("variant", "test %", "n", "difference", "95 % interval", "p (Holm)", "verdict")
NUMBERS = ("94.5", "10", "-11.1", "-13.8 to -8.4", "< .001")
VERDICT = "constant difference, not testable"
NAMES = (
    "a name of more than sixty characters, as people write them in studies",
    "w/o [/] x",
    "[no dropping]",
    "[bold red]x[/bold red] :smile:",
    "没有隐式损失没有隐式损失没有隐式损失没有隐式损失没有隐式损失",
)
WIDTHS = (120, 80, 60, 40)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def show(width: int | None, header, rows, text=()) -> list[str]:
        monkeypatch.delenv("COLUMNS", raising=False)
        if width is not None:
            monkeypatch.setenv("COLUMNS", str(width))
        Console().table("Which [part]?", header, rows, text=text)
        return [line for line in capsys.readouterr().out.splitlines() if line.strip()]

    return show


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", NAMES)
def test_numbers_are_whole_and_no_column_vanishes(shown, width: int, name: str) -> None:
    lines = shown(width, HEADER, [[name, *NUMBERS, VERDICT]], ("verdict",))
    text = "\n".join(lines)
    assert all(re.search(rf"(?<!\S){re.escape(number)}(?!\S)", text) for number in NUMBERS)
    assert all(column in text for column in HEADER)
    assert "…" not in text and lines[0].startswith("Which [part]?")
    assert all(word in text for word in VERDICT.split())
    assert Counter(text) >= Counter("".join(name.split()))


@pytest.mark.parametrize("width", WIDTHS[1:])
def test_a_line_is_no_longer_than_the_terminal(shown, width: int) -> None:
    rows = [["a name that is rather long", *NUMBERS, VERDICT]] * 3
    assert max(len(line.rstrip()) for line in shown(width, HEADER, rows, ("verdict",))) <= width


@pytest.mark.parametrize("columns", [3, 9, 30])
def test_many_columns_go_on_below_with_the_first_one_again(shown, columns: int) -> None:
    names = [f"schedule.rate_{i}" for i in range(columns)]
    rows = [[f"trial {t}", *(f"0.{t}{i:03d}" for i in range(columns))] for t in range(4)]
    text = "\n".join(shown(80, ["trial", *names], rows))
    numbers = [number for row in rows for number in row[1:]]
    assert all(text.count(number) == 1 for number in numbers)
    tables = text.count("trial 0")
    assert tables == text.count("trial 3") and (tables == 1) == (columns == 3)


def test_a_log_file_has_no_edge(shown) -> None:
    lines = shown(None, HEADER, [[NAMES[0], *NUMBERS, VERDICT]], ("verdict",))
    assert [NAMES[0], *NUMBERS, VERDICT] == re.split(r"\s{2,}", lines[-1].strip())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[bold]x[/] :fire:", "[bold]x[/] :fire:"),
        ("a \x1b[31mred\x1b[0m b", "a \\x1b[31mred\\x1b[0m b"),
        ("left \u202e right", "left \\u202e right"),
        ("back\rto the start", "back\\rto the start"),
    ],
)
def test_a_line_is_printed_as_it_is_and_steers_nothing(
    capsys: pytest.CaptureFixture[str], text: str, expected: str
) -> None:
    console = Console()
    console.line(text)
    console.warn(text)
    with console.step(text):
        pass
    said = capsys.readouterr().out.splitlines()
    assert said == [expected, f"note: {expected}", f"{expected}: 0 s"]


@pytest.mark.parametrize("setting", ["NO_COLOR", "TERM"])
def test_no_colours_where_none_are_wanted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], setting: str
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as in a terminal
    monkeypatch.setenv(setting, {"NO_COLOR": "1", "TERM": "dumb"}[setting])
    Console().warn("something")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", capsys.readouterr().out)
