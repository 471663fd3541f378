"""The report of a study.

The same bytes from the same cells, whole without a network, right in every format.
"""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from balanced_tags import BalancedTags
from synthetic import GAINS, STUDY, data, factors, with_classes, write_study

from ablations.components import study as components
from dfkd import recipes
from dfkd.method.dropping import Tail
from dfkd.method.selection import Balanced
from dfkd.reporting.shell import command
from dfkd.stats.designs import build_up, fractional_factorial, full_factorial
from dfkd.storage import FolderStorage
from dfkd.studies import Study, tables
from dfkd.studies import figures as plots
from dfkd.studies.findings import Findings, dose, find, levels_of
from dfkd.studies.page import html, written
from dfkd.studies.per_class import by_class
from dfkd.studies.reading import from_ledger
from dfkd.studies.record import read, write


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    storage = tmp_path_factory.mktemp("storage")
    return find(data(storage, STUDY, GAINS, diverged=(("without explicit", 2),)))


@pytest.fixture(scope="module")
def page(findings: Findings) -> str:
    return html(findings)


def test_the_same_cells_give_the_same_bytes(findings: Findings, page: str, tmp_path: Path) -> None:
    again = find(data(tmp_path, STUDY, GAINS, diverged=(("without explicit", 2),)))
    assert html(again) == page
    for form in (tables.markdown, tables.latex, tables.comparisons_csv, tables.cells_csv):
        assert form(again) == form(findings)


def test_the_page_needs_nothing_from_elsewhere_and_its_tags_are_closed(page: str) -> None:
    assert page.count("<script>") == page.count("<script") == 1  # our own, in the page itself
    assert not re.search(r"<(iframe|object)|@import|fetch\(|src=\"(?!data:)|url\((?!#)", page)
    links = set(re.findall(r'href="([^"]*)"', page))
    assert all(link.startswith(("#", "data:")) for link in links)
    BalancedTags().feed(page)
    ids = re.findall(r' id="([^"]*)"', page)
    references = {link[1:] for link in links if link.startswith("#")} | set(
        re.findall(r"url\(#([^)]*)\)", page)
    )
    assert references <= set(ids)


def test_what_the_page_says(page: str) -> None:
    for expected in (
        "worse: without selection",
        "a diverged cell counts as chance accuracy",
        "conditional on this teacher, this pool and this test set",
        "blocks vary the student",
        "abc1234",
        "cpu AVX2",
        "accuracy per class was not recorded",
        "selection: random (baseline: balanced)",
        "reused from earlier work",
    ):
        assert expected in page
    assert page.count("<svg") == 3
    assert "3 of 4 variants" not in page and "1 of 4 variants can be told from the baseline" in page


def test_text_of_users_is_escaped(tmp_path: Path) -> None:
    study = Study(
        question="Is a < b & c?",
        variants={"<b>": recipes.digits(), "a_b|%": replace(recipes.digits(), dropping=None)},
        baseline="<b>",
        blocks=3,
    )
    files = written(find(data(tmp_path, study, {})))
    assert "<b>" not in files["index.html"] and "Is a &lt; b &amp; c?" in files["index.html"]
    assert r"a\_b\textbar{}\%" in files["table.tex"] and r"a_b\|%" in files["report.md"]


def test_markdown_puts_text_to_the_left_and_shows_the_figures(findings: Findings) -> None:
    lines = written(findings)["report.md"].splitlines()
    assert "| --- | ---: | ---: | ---: | ---: | ---: | --- |" in lines
    assert "![Differences to the baseline](effects.svg)" in lines


def test_csv_holds_the_numbers_in_full(findings: Findings) -> None:
    rows = list(csv.DictReader(io.StringIO(tables.comparisons_csv(findings))))
    assert [row["variant"] for row in rows] == [c.variant for c in findings.comparisons]
    assert [float(row["difference"]) for row in rows] == [
        c.difference for c in findings.comparisons
    ]
    cells = pd.read_csv(io.StringIO(tables.cells_csv(findings)))
    assert len(cells) == 40 and set(cells["state"]) == {"finished", "diverged"}


def ratios(blocks: int = 4) -> Study:
    e = recipes.digits()
    variants = {f"{r:.2f}": replace(e, selection=Balanced(ratio=r)) for r in (0.05, 0.1, 0.4)}
    return Study(
        question="How much of the pool?", variants=variants, baseline="0.10", blocks=blocks
    )


def test_a_study_over_one_number_gets_its_curve(tmp_path: Path) -> None:
    found = find(data(tmp_path, ratios(), {}))
    assert "dose" in plots.figures(found)
    assert dose(found.data).values == {"0.05": 0.05, "0.10": 0.1, "0.40": 0.4}


def test_no_such_piece_at_all_counts_as_zero_and_two_numbers_are_no_curve(tmp_path: Path) -> None:
    e = recipes.digits()
    rates = {f"{r}": replace(e, dropping=Tail(rate=r)) for r in (0.0, 0.3, 0.5)}
    study = Study(question="?", variants=rates, baseline="0.3", blocks=2)
    found = dose(data(tmp_path / "rates", study, {}))
    assert found is not None and found.values == {"0.0": 0.0, "0.3": 0.3, "0.5": 0.5}
    two = Study(
        question="?",
        variants={**rates, "r": replace(e, selection=Balanced(ratio=0.2))},
        baseline="0.3",
    )
    assert dose(data(tmp_path / "two", two, {})) is None
    assert dose(data(tmp_path / "components", replace(components, blocks=2), {})) is None


def test_a_factorial_gets_its_effects_and_a_build_up_does_not(tmp_path: Path) -> None:
    bare, changes = factors()
    study = Study(question="?", variants=full_factorial(bare, changes), baseline="base", blocks=3)
    found = find(
        data(tmp_path, study, {name: 0.02 for name in study.variants if "dropping" in name})
    )
    by_term = {effect.term: effect for effect in found.effects}
    assert len(by_term) == 6 and abs(by_term["dropping"].effect - 0.02) < 0.005
    assert "Effects averaged over the other factors" in html(found)
    assert levels_of(list(build_up(bare, changes))) is None
    assert levels_of(list(fractional_factorial(bare, changes, resolution=3))) is not None


def test_a_race_is_analysed_as_one_and_says_so(tmp_path: Path) -> None:
    raced = replace(data(tmp_path, STUDY, GAINS), looks=(5, 8))
    found = find(raced)
    stopped = next(c for c in found.comparisons if c.variant == "without selection")
    assert stopped.n == 5 and stopped.verdict == "worse"
    assert any("a race: looked at after 5 and 8 blocks" in note for note in found.notes)


def test_variants_on_pools_of_their_own_are_said(tmp_path: Path) -> None:
    made = data(tmp_path, replace(STUDY, blocks=2), GAINS)
    two = replace(made, provenance={**made.provenance, "pool": ("pool0", "pool1")})
    note = "the variants do not all share one pool: it is part of what is compared"
    assert note in find(two).notes and note not in find(made).notes


def test_provenance_says_the_command_and_from_when_to_when_its_cells_were_computed(
    tmp_path: Path,
) -> None:
    write_study(tmp_path, "made", replace(STUDY, blocks=2), GAINS)
    storage = FolderStorage(tmp_path)
    assert "computed" not in from_ledger(storage, "made").provenance  # records from before
    asked = command("ablate", "a.b", {"blocks": 2, "race": False, "recipe": None}, {"c": "d e"})
    record = read(storage, "made")
    write(storage, replace(record, command=asked))
    times = ("2026-01-31T23:59:59", "2026-01-02T03:04:05")
    for cell, ended in zip(record.names(), times, strict=False):
        file = tmp_path / "cells" / cell / "record.json"
        saved = json.loads(file.read_text())
        saved["tags"]["ended"] = f"{ended}+00:00"
        file.write_text(json.dumps(saved))
    found = find(from_ledger(storage, "made"))
    assert found.data.provenance["command"] == (
        "python -m platform.ablate a.b --blocks 2 --set 'c=d e'",
    )
    assert found.data.provenance["computed"] == ("2026-01-02 03:04 to 2026-01-31 23:59 UTC",)
    assert "2026-01-02 03:04 to 2026-01-31 23:59 UTC" in html(found)


def test_blocks_added_after_a_look_are_said(tmp_path: Path) -> None:
    found = find(replace(data(tmp_path, STUDY, GAINS), looked=(5, 8)))
    assert any("seen after 5 and 8 blocks" in note for note in found.notes)


def test_accuracy_per_class_is_a_figure_and_a_table_in_every_format(tmp_path: Path) -> None:
    found = find(with_classes(data(tmp_path, replace(STUDY, blocks=4), {}), 10))
    table = by_class(found.data).table.set_index(["variant", "class"])
    values = found.data.cells.groupby("variant", observed=True)["value"].mean()
    assert table.loc[("full", 9), "mean"] == pytest.approx(values["full"] - 0.009)
    assert table.loc[("without selection", 2), "difference"] == pytest.approx(
        values["without selection"] - values["full"] - 0.1
    )
    assert list(by_class(found.data).pivot("mean").columns) == list(range(10))
    files = written(found)
    assert "the largest loss is that of without selection on class 2" in files["index.html"]
    assert "was not recorded" not in files["index.html"] and "classes" in plots.figures(found)
    assert len(list(csv.DictReader(io.StringIO(files["classes.csv"])))) == 50
    assert "| 9 |" in files["report.md"] and "classes.tex" in files


def test_of_many_classes_the_worst_and_the_best_are_shown_and_it_says_which(tmp_path: Path) -> None:
    found = by_class(with_classes(data(tmp_path, replace(STUDY, blocks=2), {}), 100))
    assert found is not None and found.shown() == [*range(99, 79, -1), *range(19, -1, -1)]
    assert found.which().startswith("Of 100 classes: the 20") and len(found.table) == 500


def test_cells_that_did_not_record_their_classes_are_left_out_and_said(tmp_path: Path) -> None:
    made = with_classes(
        data(tmp_path, replace(STUDY, blocks=3), {}, diverged=(("without explicit", 1),)), 4
    )
    classes = [f"test.class.{k}" for k in range(4)]
    made.cells.loc[made.cells["block"] == 0, classes] = float("nan")
    made.cells.loc[made.cells["state"] == "diverged", classes] = float("nan")
    table = by_class(made).table.set_index(["variant", "class"])
    assert set(table["n"]) == {2}
    second = made.cells[(made.cells["variant"] == "without explicit") & (made.cells["block"] == 2)][
        "test.class.0"
    ]
    # chance, as ever
    assert table.loc[("without explicit", 0), "mean"] == pytest.approx((0.1 + second.item()) / 2)
    assert (
        "accuracy per class rests on 9 of 15 cells: the others did not record it"
        in find(made).notes
    )


def test_a_study_none_of_whose_baseline_cells_recorded_classes_has_no_such_figure(
    tmp_path: Path,
) -> None:
    made = with_classes(data(tmp_path, replace(STUDY, blocks=2), {}), 4)
    made.cells.loc[made.cells["variant"] == "full", [f"test.class.{k}" for k in range(4)]] = float(
        "nan"
    )
    assert by_class(made) is None and "classes" not in plots.figures(find(made))


def test_a_figure_shows_itself_in_a_notebook(findings: Findings) -> None:
    assert plots.figures(findings)["effects"]._repr_svg_().startswith("<svg")
