"""Results from elsewhere: a hand-made table gives the numbers that were computed by hand."""

import json
import re
from pathlib import Path

import pytest
from papers import check

from dfkd.comparison.comparing import compare_own
from dfkd.comparison.own_results import Columns, from_csv, read_own, study_of
from dfkd.reporting.console import Console
from dfkd.storage import FolderStorage
from dfkd.studies import tables
from dfkd.studies.findings import find

FULL, WITHOUT = (94.1, 93.5, 95.0, 94.4, 93.9), (92.0, 91.9, 93.1, 92.2, 92.4)
OTHER = (94.0, 93.9, 94.8, 94.5, 94.0)
# By hand. Differences without - full: -2.1 -1.6 -1.9 -2.2 -1.5, mean -1.86, sd .304959, half
# width t(4, .975) = 2.776445 times sd / sqrt(5) = .378657, t = -13.638182; other - full: -.1 .4
# -.2 .1 .1, mean .06, sd .230217, half width .285853, t = .582772. With u = |t| / sqrt(4 + t^2), p
# at 4 degrees of freedom is 1 - u (3 - u^2) / 2: .0001674 and .5913196; Holm: twice the first.
EXPECTED = {
    "without": (-1.86, -2.238657, -1.481343, 0.0001674, 0.0003348),
    "other": (0.06, -0.225853, 0.345853, 0.5913196, 0.5913196),
}


def table(between: str = ",", block: str = "seed", scale: float = 1.0, end: str = "\n") -> str:
    rows = [["variant", block, "accuracy"]]
    for name, values in (("full", FULL), ("without", WITHOUT), ("other", OTHER)):
        rows += [[name, str(i + 1), repr(round(v * scale, 6))] for i, v in enumerate(values)]
    return end.join(between.join(row) for row in rows) + end


@pytest.fixture
def write(tmp_path: Path):
    def file(text: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "results.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return file


FORMS = {
    "per cent": table(),
    "fractions": table(scale=0.01),
    "semicolons": table(";"),
    "tabs, Windows": table("\t", end="\r\n"),
    "folds": table(block="fold"),
    "decimal commas": table(";").replace(".", ","),
    "percent signs": re.sub(r"(\d\.\d+)$", r"\1 %", table(), flags=re.MULTILINE),
    "other order": "\n".join([table().splitlines()[0], *sorted(table().splitlines()[1:11])[::-1]]),
}


@pytest.mark.parametrize("form", [name for name in FORMS if name != "other order"])
def test_a_hand_made_table_equals_the_one_computed_by_hand(write, form: str) -> None:
    findings = find(read_own(str(write(FORMS[form])), Columns(), ""))
    assert [c.variant for c in findings.comparisons] == ["without", "other"]
    for c in findings.comparisons:
        found = (100 * c.difference, 100 * c.low, 100 * c.high)
        assert found == pytest.approx(EXPECTED[c.variant][:3], abs=1e-5)
        assert (c.p, c.p_holm) == pytest.approx(EXPECTED[c.variant][3:], abs=2e-6)
    assert tables.rows(findings)[0] == ["full", "94.2", "5", "", "", "", "baseline"]
    assert tables.rows(findings)[1] == [
        *("without", "92.3", "5", "-1.9", "-2.2 to -1.5", "< .001", "worse")
    ]


def test_the_order_of_rows_changes_no_number(write) -> None:
    data = study_of(from_csv(write(FORMS["other order"])), Columns(baseline="full"))
    [c] = find(data).comparisons
    assert 100 * c.difference == pytest.approx(EXPECTED["without"][0])


def test_the_files_of_the_report(write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    storage = FolderStorage(tmp_path / "runs")
    compare_own(str(write(table())), Columns(), storage, None, console)
    report = tmp_path / "runs" / "reports" / "results"
    assert {path.name for path in report.iterdir()} == {
        *("index.html", "report.md", "table.tex", "comparisons.csv", "cells.csv", "effects.svg")
    }
    page = (report / "index.html").read_text(encoding="utf-8")
    assert "accuracy %" in page and "test accuracy" not in page and ">nan" not in page
    assert "python -m platform.compare --from " in page
    check((report / "table.tex").read_text(encoding="utf-8"))
    said = capsys.readouterr().out
    assert "points of accuracy" in said and "blocks are the rows with one seed" in said
    [study] = console.document.result["studies"]
    assert study["baseline"] == "full" and len(study["cells"]) == 15
    json.dumps(console.document.result, allow_nan=False)


def test_columns_by_name_and_tables_with_a_row_for_each_metric(write) -> None:
    text = "Model;run;f1;acc\nA;x;0.5;0.7\nB;x;0.6;0.8\nA;y;0.5;0.75\nB;y;0.7;0.9\n"
    data = read_own(str(write(text)), Columns(variant="Model", block="run", metric="acc"), "")
    [c] = find(data).comparisons
    assert (c.variant, c.difference) == ("B", pytest.approx(0.125))
    long = """variant,seed,metric,value
A,1,acc,0.7
A,1,f1,0.1
B,1,acc,0.8
A,2,acc,0.75
B,2,acc,0.9
B,2,f1,0.3
"""
    data = read_own(str(write(long)), Columns(metric="acc", baseline="B"), "")
    assert [100 * c.difference for c in find(data).comparisons] == [pytest.approx(-12.5)]


def test_missing_values_are_left_out_and_said(write) -> None:
    data = read_own(str(write(table() + "without,6,\nfull,6,94.0\n")), Columns(), "")
    findings = find(data)
    assert findings.comparisons[0].n == 5
    assert "1 row without one of variant, seed, accuracy: left out" in findings.notes


def test_rows_without_a_partner_are_left_out_and_said(write) -> None:
    findings = find(read_own(str(write(table() + "without,6,99.0\n")), Columns(), ""))
    assert [c.n for c in findings.comparisons] == [5, 5]
    assert findings.notes == ("1 row in no block of full: left out",)


def test_fractions_among_percentages_are_said(write) -> None:
    mixed = "variant,seed,acc\nA,1,70\nA,2,.71\nB,1,72\nB,2,73\n"
    assert "1 of 4 values are not above 1" in " ".join(
        find(read_own(str(write(mixed)), Columns(), "")).notes
    )
    chance = "variant,seed,acc\nA,1,0.9%\nB,1,0.8%\n"
    data = read_own(str(write(chance)), Columns(), "")
    assert list(data.cells["value"]) == pytest.approx([0.009, 0.008]) and not data.remarks


def test_the_numbers_of_rows_are_no_metric_and_capital_letters_do_not_matter(write) -> None:
    """As `pandas.DataFrame.to_csv` writes a table."""
    lines = table().replace("variant,seed,accuracy", "Variant,SEED,Accuracy").splitlines()
    for nameless in ("", "Unnamed: 0"):
        numbered = [f"{nameless},{lines[0]}", *(f"{i},{line}" for i, line in enumerate(lines[1:]))]
        data = read_own(str(write("\n".join(numbered))), Columns(), "")
        assert [c.difference for c in find(data).comparisons] == pytest.approx([-0.0186, 0.0006])


@pytest.mark.parametrize("first", ["# of run 7, by hand\n#\n", "#|", ""])
def test_comments_before_the_table_and_bars_between_columns(write, first: str) -> None:
    """A column of numbers may be called "#"."""
    lines = table().replace(",", "|").splitlines()
    if first == "#|":
        lines = [f"{i or '#'}|{line}" for i, line in enumerate(lines)]
    else:
        lines[0] = first + lines[0]
    data = read_own(str(write("\n".join(lines))), Columns(metric="accuracy"), "")
    assert [c.difference for c in find(data).comparisons] == pytest.approx([-0.0186, 0.0006])


@pytest.mark.parametrize(("name", "less"), [("val_loss", 1), ("Top-1 error", 1), ("alerter", 0)])
def test_a_metric_of_which_less_seems_better_is_said(write, name: str, less: bool) -> None:
    findings = find(read_own(str(write(table().replace("accuracy", name))), Columns(), ""))
    assert any("is taken to be better" in note for note in findings.notes) == less


WRONG = {
    "nothing": ("", "it has no rows"),
    "a line too short": ("variant,seed,acc\nA,1\n", "line 2 has another number of columns"),
    "no variant": (
        "model,seed,acc\nA,1,.5\n",
        r"no column 'variant' \(--variant\): there are model",
    ),
    "no block": ("variant,draw,acc\nA,1,.5\n", r"no column 'block' \(--block\)"),
    "two metrics": (
        "variant,seed,a,b\nA,1,.5,.5\n",
        r"2 columns .* \(a, b\): name one with --metric",
    ),
    "a run that diverged": ("variant,seed,acc\nA,1,nan\n", "'nan': .* give what chance gives"),
    "no number": ("variant,seed,acc\nA,1,high\n", "acc in .* must be a number, but got 'high'"),
    "a loss": ("variant,seed,ppl\nA,1,412\n", "must lie between 0 and 1, or 0 and 100 per cent"),
    "two columns of one name": (
        "variant,seed,acc,acc\nA,1,.5,.6\n",
        "have two columns 'acc': give each its name",
    ),
    "twice": ("variant,seed,acc\nA,1,.5\nA,1,.6\n", "two rows of variant 'A' in seed '1'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_table_of_results_is_one_line(write, case: str) -> None:
    text, line = WRONG[case]
    with pytest.raises(ValueError, match=line) as raised:
        read_own(str(write(text)), Columns(), "")
    assert "\n" not in str(raised.value)


def test_other_encodings_and_missing_files_are_said(write, tmp_path: Path) -> None:
    bom = read_own(str(write("\ufeff" + table())), Columns(), "")
    assert bom.baseline == "full"
    with pytest.raises(ValueError, match="it is no text in UTF-8"):
        read_own(str(write(table().replace("full", "füll"), "latin-1")), Columns(), "")
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        read_own(str(tmp_path / "nothing.csv"), Columns(), "")
    with pytest.raises(ValueError, match="there is no variant 'ful': did you mean full"):
        read_own(str(write(table())), Columns(baseline="ful"), "")
