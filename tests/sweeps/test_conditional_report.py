"""The report of a search whose trials have different parameters: all of it draws what there is."""

import csv
import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from balanced_tags import BalancedTags
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from dfkd.identity import Scalar
from dfkd.reporting.console import Console
from dfkd.storage import FolderStorage
from dfkd.sweeps import figures as sweep_figures
from dfkd.sweeps import optuna_view, record, tables
from dfkd.sweeps.captions import conclusion
from dfkd.sweeps.findings import Confirmation, Importance, SweepData, column
from dfkd.sweeps.optuna_view import importance, scales
from dfkd.sweeps.page import write_report, written
from dfkd.sweeps.terminal import print_sweep
from dfkd.sweeps.trial import Trial

Params = Mapping[str, Scalar]


def sweep(*params: Params, logarithmic: str = "", is_default: bool = False) -> SweepData:
    """A sweep whose trials have these parameters and finished, the later the better."""
    trials = tuple(
        Trial(
            number=number,
            params=own,
            cell=f"cell-{number}",
            state="finished",
            step=30,
            value=0.5 + number / 100,
            validation=0.6 + number / 100,
            points={10: 0.3, 30: 0.5 + number / 100},
            is_default=is_default and number == 0,
        )
        for number, own in enumerate(params)
    )
    return SweepData(
        name="made",
        trials=trials,
        scales={
            name: "log" if name == logarithmic else s for name, s in scales(trials, {}).items()
        },
        importance=None,
        correlation=1.0,
        confirmation=None,
        provenance={},
    )


BALANCED = {"selection": "balanced", "ratio_b": 0.3}
RANDOM = {"selection": "random", "rows_r": 64}
CASES = {
    "two branches": sweep(BALANCED, RANDOM, BALANCED, RANDOM),
    "nothing in common": sweep({"a": 1.0}, {"b": "x"}, {"c": 3}),
    "one branch tried once": sweep(*[BALANCED] * 4, RANDOM),
    "no parameters at all": sweep({}, {}),
    "a branch without parameters": sweep({"loss": "none"}, {"loss": "rkd", "weight": 0.5}),
    "a default below a log scale": sweep(
        {"weight": 0.0}, {"weight": 0.1}, {"weight": 3.0}, logarithmic="weight", is_default=True
    ),
    "a parameter that only the default has": sweep(
        {"weight": 0.0, "x": 1}, {"x": 2}, logarithmic="weight", is_default=True
    ),
    "names of ours": sweep({"trial": 0.1, "probe": 5, "cell": "x"}, {"trial": 0.2, "probe": 7}),
    "odd names": sweep({"a/b": 0.1, "$x_1$": 2, "<b>": "y", "": 1}, {"a/b": 0.4, "<b>": "z"}),
    "numbers and words": sweep({"w": "(12, 16)", "x": True}, {"w": 3, "x": "true"}),
}


@pytest.mark.parametrize("case", CASES)
def test_every_form_of_the_report_draws_what_there_is(case: str, tmp_path: Path) -> None:
    data, notes = CASES[case], list[str]()
    files = written(data, notes.append)
    assert not notes and {"history.svg", "curves.svg"} <= files.keys()
    assert ("slices.svg" in files) == bool(data.scales)
    BalancedTags().feed(files["index.html"])
    assert record.parse(record.text(data)) == data
    print_sweep(data, Console(quiet=True))
    header, *rows = csv.reader(io.StringIO(files["trials.csv"]))
    assert len(set(header)) == len(header)
    values = [dict(zip(header, row, strict=True)) for row in rows]
    for trial, row in zip(data.trials, values, strict=True):
        assert int(row["trial"]) == trial.number and float(row["probe"]) == trial.value
        assert {name: row[column(name)] for name in trial.params} == {
            name: str(value) for name, value in trial.params.items()
        }
    write_report(data, FolderStorage(tmp_path))


def test_a_table_leaves_empty_what_a_trial_does_not_have() -> None:
    header, rows = tables.best(CASES["two branches"])
    assert header[3:] == ["selection", "ratio_b", "rows_r"]
    assert [row[3:] for row in rows[:2]] == [["random", "", "64"], ["balanced", "0.3", ""]]


def test_only_a_default_is_called_one() -> None:
    data = sweep(BALANCED, RANDOM)
    assert tables.marks(data) == {0: " (default)"}
    other = replace(data, has_default=False)
    assert tables.marks(other) == {} and record.parse(record.text(other)) == other
    assert "the default" not in written(other)["history.svg"]


def test_the_winner_is_known_by_its_number() -> None:
    data = sweep(BALANCED, RANDOM, RANDOM)
    found = Confirmation(
        winner={"selection": "random"}, winner_test=(0.9,), default_test=(0.8,), winner_trial=2
    )
    told = replace(data, confirmation=found)
    assert told.winner() is told.trials[2]
    assert tables.marks(told) == {0: " (default)", 2: " (winner)"}
    assert record.parse(record.text(told)) == told


def test_what_not_all_trials_have_is_named_beside_the_importance() -> None:
    found = Importance(step=30, trials=12, shares={"selection": 1.0})
    said = conclusion("importance", replace(CASES["two branches"], importance=found))
    assert said.endswith("Not rated, as not all trials have it: ratio_b, rows_r.")


@pytest.mark.parametrize(("common", "rated"), [(True, {"selection"}), (False, None)])
def test_importance_is_that_of_the_parameters_that_all_trials_have(
    common: bool, rated: set[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = CategoricalDistribution(["balanced", "random"])
    ratio, rows = FloatDistribution(0.1, 0.9), IntDistribution(8, 128)
    seen, params = {}, []
    for number in range(12):
        own: Params = {"ratio_b": 0.1 + number / 20} if number % 2 else {"rows_r": 8 + number}
        kind: Params = {"selection": "balanced" if number % 2 else "random"} if common else {}
        params.append({**kind, **own})
        known = {"selection": rule, "ratio_b": ratio, "rows_r": rows}
        seen[number] = optuna.trial.create_trial(
            value=0.5, params=params[-1], distributions={name: known[name] for name in params[-1]}
        )
    found = importance(sweep(*params).trials, seen)
    assert (None if found is None else set(found.shares)) == rated
    monkeypatch.setattr(optuna_view, "MOST", 9)
    fewer = importance(sweep(*params).trials, seen)
    assert (fewer and fewer.trials, found and found.trials) == ((9, 12) if rated else (None, None))


def test_a_gap_in_a_line_is_explained_where_there_is_one() -> None:
    assert "did not ask" in conclusion("parallel", CASES["two branches"])
    assert conclusion("parallel", sweep(BALANCED, BALANCED)) == ""


def test_a_figure_that_cannot_be_drawn_is_a_line_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A figure of the user's own, say, for numbers that it was not written for."""
    monkeypatch.setitem(sweep_figures.FIGURES, "slices", lambda data: data.scales["gone"])
    notes: list[str] = []
    write_report(CASES["two branches"], FolderStorage(tmp_path), notes.append)
    [page] = tmp_path.glob("**/index.html")
    assert notes == ["the figure 'slices' cannot be drawn: KeyError: 'gone'"]
    assert "cannot be drawn: KeyError" in page.read_text()
    assert (page.parent / "history.svg").exists() and not (page.parent / "slices.svg").exists()
    assert "slices" not in sweep_figures.figures(CASES["two branches"])
