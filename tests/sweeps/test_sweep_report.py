"""The report of a sweep.

Read without its space, the same bytes from the same records, whole without a network.
"""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from balanced_tags import BalancedTags
from commands import run
from papers import check
from searches import write_sweep
from synthetic import STUDY, write_study

from dfkd.comparison.reports import kinds_of, write_overview
from dfkd.storage import FolderStorage, layout
from dfkd.sweeps import figures as sweep_plots
from dfkd.sweeps import record as sweeps
from dfkd.sweeps.captions import conclusion
from dfkd.sweeps.findings import SweepData, verdict
from dfkd.sweeps.journal import Journal
from dfkd.sweeps.page import write_report, written

NAME = "digits-174ed102"


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    storage = tmp_path_factory.mktemp("storage")
    write_sweep(storage)
    write_sweep(storage, "running-1", 10, confirmed=False)
    return storage


@pytest.fixture(scope="module")
def data(storage: Path) -> SweepData:
    return sweeps.read(FolderStorage(storage), NAME)


@pytest.fixture(scope="module")
def files(data: SweepData) -> dict[str, str]:
    return written(data)


def test_what_the_trials_say(data: SweepData) -> None:
    assert data.states() == "1 diverged, 8 finished, 15 pruned"
    assert data.scales == {
        "selection.ratio": "log",
        "dropping.rate": "linear",
        "implicit": "choice",
    }
    values = [trial.value for trial in data.finished()]
    assert values == sorted(values, reverse=True) and data.best_so_far()[-1] == (23, values[0])
    assert data.winner() == data.finished()[0] and data.correlation == pytest.approx(1.0)


def test_importance_is_that_of_the_parameter_that_mattered_at_a_step_that_most_trials_reached(
    data: SweepData,
) -> None:
    found = data.importance
    assert found is not None and (found.step, found.trials) == (100, 23)
    assert next(iter(found.shares)) == "selection.ratio" and found.shares["selection.ratio"] > 0.8
    assert sum(found.shares.values()) == pytest.approx(1.0)


def test_the_same_records_give_the_same_bytes(
    storage: Path, files: dict[str, str], tmp_path: Path
) -> None:
    write_sweep(tmp_path)
    again = sweeps.read(FolderStorage(tmp_path), NAME)
    assert written(again) == files
    assert write_report(again, FolderStorage(tmp_path))[1]
    assert not write_report(again, FolderStorage(tmp_path))[1]


@pytest.mark.parametrize("name", [NAME, "running-1"])
def test_the_text_that_mlflow_holds_gives_the_same_page(storage: Path, name: str) -> None:
    data = sweeps.read(FolderStorage(storage), name)
    again = sweeps.parse(sweeps.text(data))
    assert again == data and written(again)["index.html"] == written(data)["index.html"]


def test_the_page_is_whole_small_and_well_formed(files: dict[str, str]) -> None:
    page = files["index.html"]
    assert page.count("<script>") == page.count("<script") == 1  # our own, in the page itself
    assert not re.search(r"<(iframe|object)|@import|fetch\(|src=|url\((?!#)", page)
    BalancedTags().feed(page)
    assert page.count("<svg") == 7 and len(page.encode()) < 2_000_000
    assert "mathdefault" not in page
    for expected in (
        "+0.5 points",
        "12 (winner)",
        "0 (default)",
        "Rank correlation 1.00 over 24 trials.",
        "abc1234",
        "better",
    ):
        assert expected in page


def test_every_format_tells_the_confirmed_difference(files: dict[str, str]) -> None:
    check(files["table.tex"])
    assert "| winner | 95.4 | 10 | +0.5 |" in files["report.md"] and "$+0.5$" in files["table.tex"]
    assert len(files["trials.csv"].splitlines()) == 25
    names = {"confirmation", "history", "importance", "slices", "parallel", "trust", "curves"}
    assert names <= {name.removesuffix(".svg") for name in files}


def test_a_sweep_under_way_shows_its_search_and_claims_nothing(storage: Path) -> None:
    data = sweeps.read(FolderStorage(storage), "running-1")
    files = written(data)
    assert data.confirmation is None and data.winner() is None and "confirmation.svg" not in files
    assert "nothing is confirmed yet" in files["index.html"] and "winner" not in files["table.tex"]
    check(files["table.tex"])


def test_without_optunas_view_everything_but_importance_is_there(
    storage: Path, tmp_path: Path
) -> None:
    shutil.copytree(storage, tmp_path, dirs_exist_ok=True)
    (tmp_path / "sweeps" / NAME / "optuna.log").unlink()
    data = sweeps.read(FolderStorage(tmp_path), NAME)
    assert (
        data.importance is None
        and data.scales["implicit"] == "choice"
        and data.scales["dropping.rate"] == "linear"
    )
    assert "too few trials" in written(data)["index.html"]


def test_a_default_that_won_is_no_difference(data: SweepData) -> None:
    assert data.confirmation is not None
    same = replace(data, confirmation=replace(data.confirmation, winner={}))
    assert verdict(same.confirmation)[0].startswith("the default recipe was not beaten")
    assert (
        "confirmation" not in sweep_plots.figures(same)
        and "The default recipe" in written(same)["index.html"]
    )


def test_trials_of_which_none_varied_are_drawn(data: SweepData) -> None:
    flat = [replace(t, value=0.1, points={50: 0.1}, state="diverged") for t in data.trials[:3]]
    poor = replace(data, trials=tuple(flat), confirmation=None, importance=None, correlation=None)
    assert "history.svg" in written(poor) and conclusion("history", poor) == ""


@pytest.fixture(scope="module")
def shown(storage: Path) -> Iterator[str]:
    write_study(storage, "parts", STUDY, {})
    write_study(storage, "again", STUDY, {})
    done = run(
        "compare", "parts", "again", NAME, "--storage", str(storage), "--no-log", folder=storage
    )
    assert done.returncode == 0, done.stderr
    yield done.stdout


def test_studies_and_sweeps_are_compared_by_name_with_an_overview_of_several(
    storage: Path, shown: str
) -> None:
    assert f"Best trials of {NAME}" in shown and "Confirmation" in shown
    assert (storage / "sweeps" / NAME / "report" / "index.html").exists()
    overview = storage / "reports" / f"parts+again+{NAME}"
    assert str(overview) in shown
    page = (overview / "index.html").read_text()
    links = re.findall(r'href="(\.\./[^"]*)"', page)
    assert len(links) == 3 and all((overview / link).exists() for link in links)
    assert "parts: full" in page and "again: full" in page  # shared cells
    assert "all have the same pool" in page or "not all have the same pool" in page
    BalancedTags().feed(page)
    assert "is the same recipe as" in (overview / "report.md").read_text()


def test_an_overview_of_what_shares_nothing_says_so_and_is_named_in_short(
    storage: Path, data: SweepData
) -> None:
    long = [replace(data, name=f"{'x' * 60}-{i}") for i in range(2)]
    page = Path(write_overview([], long, FolderStorage(storage)))
    assert len(page.parent.name) < 20 and "Cells in common" not in page.read_text()


def test_a_name_may_hold_dots_and_a_module_stands_for_its_study(tmp_path: Path) -> None:
    steps = "digits-schedule.steps=60-590ae2e9"
    write_sweep(tmp_path, steps, 10, confirmed=False)
    write_study(tmp_path, "components", STUDY, {})
    found = kinds_of([steps, "ablations.components"], FolderStorage(tmp_path), None)
    assert found == {steps: "sweep", "components": "study"}


def test_an_unknown_name_lists_the_nearest_of_both_kinds(storage: Path, tmp_path: Path) -> None:
    assert kinds_of([NAME], FolderStorage(storage), None) == {NAME: "sweep"}
    with pytest.raises(
        ValueError, match=f"no study 'digits-174ed103' in .*, nor a sweep: did you mean {NAME}"
    ):
        kinds_of(["digits-174ed103"], FolderStorage(storage), None)
    with pytest.raises(ValueError, match=f"nor a sweep: there are .*{NAME}, running-1"):
        kinds_of(["nothing-like-it"], FolderStorage(storage), None)


def test_a_result_with_trials_that_were_run_again_is_no_longer_told(tmp_path: Path) -> None:
    write_sweep(tmp_path)
    storage = FolderStorage(tmp_path)
    journal = Journal(storage, layout.sweep(NAME))
    before = sweeps.read(storage, NAME)
    again = replace(journal.read()[3], cell="another-cell", state="running", step=0, value=None)
    journal.write(again)
    now = sweeps.read(storage, NAME)
    assert before.confirmation is not None and now.confirmation is None
    assert now.trials[3].state == "running" and len(now.trials) == len(before.trials)
    assert sweeps.read(storage, NAME, (24, 10)) == before  # that call's own result
