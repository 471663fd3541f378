"""--minimise: a search that weighs the probe against what the student costs."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from written_spaces import ended, search_of, trial_context

from dfkd.experiment.recipes import digits
from dfkd.models.networks import SmallResNet
from dfkd.storage import FolderStorage
from dfkd.sweeps import tables
from dfkd.sweeps.captions import conclusion, price
from dfkd.sweeps.choosing import _place_of_choice
from dfkd.sweeps.context import TrialContext
from dfkd.sweeps.costs import cost_of
from dfkd.sweeps.figures import drawings, figures
from dfkd.sweeps.findings import Confirmation, SweepData
from dfkd.sweeps.page import html, markdown, trials_csv
from dfkd.sweeps.record import parse, text
from dfkd.sweeps.search import SweepSearch
from dfkd.sweeps.sweep import Sweep
from dfkd.sweeps.trial import Trial, front
from dfkd.sweeps.trials import trial_in

SPACE = """
from dataclasses import replace
from dfkd import recipes
default = recipes.digits()
def space(trial):
    width = trial.suggest_int("student.width", 8, 32, step=8)
    return replace(default, student=replace(default.student, width=width))
"""


def trial(number: int, probe: float | None, cost: float, state: str = "finished") -> Trial:
    costs = {"parameters": cost}
    return Trial(number=number, params={}, cell=f"c{number}", state=state, value=probe, costs=costs)


def test_parameters_and_operations_are_those_of_the_layers() -> None:
    """By hand, for width 8, one channel, ten classes and 16x16 pixels."""
    recipe = replace(digits(), student=SmallResNet(width=8))
    stem, first, second, third = 72, 1152, 3584, 14336  # weights of the convolutions
    norms, linear = 2 * (8 + 2 * 8 + 3 * 16 + 3 * 32), 32 * 10 + 10
    assert cost_of(recipe, "parameters") == stem + first + second + third + norms + linear
    products = 256 * (stem + first) + 64 * second + 16 * third + 32 * 10
    assert cost_of(recipe, "operations") == 2 * products


def test_the_front_has_the_trials_that_none_beats() -> None:
    trials = [
        trial(0, 0.7, 100.0),
        trial(1, 0.6, 50.0),
        trial(2, 0.6, 60.0),  # as good as 1, and larger
        trial(3, 0.5, 70.0),  # worse and larger
        trial(4, 0.9, 400.0),
        trial(5, 0.95, 10.0, state="diverged"),
        trial(6, 0.7, 100.0),  # the same as 0, later
    ]
    assert [t.number for t in front(trials)] == [1, 0, 4]
    assert front([replace(t, costs={}) for t in trials]) == []


@pytest.mark.parametrize(
    ("probes", "costs", "expected"),
    [
        ([[0.5, 0.7], [0.6, 0.8]], [None, None], 1),  # without costs the best
        ([[0.55, 0.75], [0.6, 0.8]], [10, 90], 0),  # 0.05 apart, error 0.1: the cheaper
        ([[0.3, 0.3], [0.6, 0.8]], [10, 90], 1),  # 0.4 apart: the better
        ([[0.7, 0.7], [0.7, 0.7]], [90, 10], 1),
        ([[0.6], [0.7]], [10, 90], 1),  # one block says nothing of the error
    ],
)
def test_the_cheapest_within_a_standard_error_is_chosen(
    probes: list[list[float]], costs: list[float | None], expected: int
) -> None:
    assert _place_of_choice(probes, costs) == expected


@pytest.fixture
def context(write_module: Callable[..., None], tmp_path: Path) -> TrialContext:
    write_module("widths", SPACE)
    return trial_context("widths", FolderStorage(tmp_path / "runs"))


def search(context: TrialContext, sampler: str = "tpe") -> SweepSearch:
    return search_of(context, trials=12, sampler=sampler, minimise="parameters")


@pytest.mark.parametrize("sampler", ["tpe", "gp", "random"])
def test_optuna_searches_both_and_a_second_call_knows_what_the_first_found(
    sampler: str, context: TrialContext
) -> None:
    first = search(context, sampler)
    for number in range(10):
        config = first.suggest(str(number))
        assert config is not None
        asked = trial_in(config)
        expected = cost_of(context.made_of(asked), "parameters")
        assert asked.costs == {"parameters": expected}
        first.on_trial_complete(str(number), ended(0.5 + expected / 1e6, **asked.costs))
    directions = [direction.name for direction in first._ot_study.directions]
    assert directions == ["MAXIMIZE", "MINIMIZE"]
    again = search(context, sampler)
    told = {tuple(t.values) for t in again._ot_study.trials}
    assert told == {tuple(t.values) for t in first._ot_study.trials if t.values}
    best = {t.params["student.width"] for t in again._ot_study.best_trials}
    assert best == {t.params["student.width"] for t in front(again.journal.read())}


def test_a_failed_trial_is_no_objective(context: TrialContext) -> None:
    one = search(context)
    one.suggest("a")
    one.suggest("b")
    one.on_trial_complete("b", None, error=True)
    assert one._ot_study.trials[-1].state == optuna.trial.TrialState.FAIL


DATA = SweepData(
    name="widths-1",
    trials=tuple(
        replace(t, params={"student.width": w})
        for t, w in zip(
            [trial(0, 0.9, 4000), trial(1, 0.8, 1000), trial(2, 0.7, 2000)], (16, 4, 8), strict=True
        )
    ),
    scales={"student.width": "linear"},
    importance=None,
    correlation=None,
    confirmation=Confirmation(
        winner={"student.width": 4},
        winner_test=(0.9, 0.91),
        default_test=(0.92, 0.9),
        winner_trial=1,
    ),
    provenance={},
)


def test_reports_say_what_the_winner_costs() -> None:
    assert price(DATA)[0].startswith("parameters: winner 1,000, default 4,000, 0.25 times")
    header, rows = tables.on_front(DATA, tables.marks(DATA))
    assert header == ["trial", "probe", "validation", "parameters", "student.width"]
    assert [row[0] for row in rows] == ["1 (winner)", "0 (default)"]
    assert conclusion("trade_off", DATA) == "0.8 at 25 % of the parameters that 0.9 takes."
    drawn, _ = drawings(DATA)
    assert ">1,000</text>" in drawn["trade_off"] and "mathdefault" not in drawn["trade_off"]
    assert "none beats in both probe and parameters" in html(DATA, {})
    assert "| 1 (winner) | 0.8 |  | 1,000 | 4 |" in markdown(DATA)
    assert trials_csv(DATA).splitlines()[0].split(",")[5:7] == ["parameters", "student.width"]
    assert parse(text(DATA)) == DATA


def test_a_search_for_the_probe_alone_shows_nothing_of_it() -> None:
    plain = replace(DATA, trials=tuple(replace(t, costs={}) for t in DATA.trials))
    assert tables.on_front(plain)[1] == [] and price(plain) == []
    assert "trade_off" not in figures(plain) and '"costs"' not in text(plain)


def test_an_unknown_cost_is_one_line_and_another_cost_another_sweep() -> None:
    with pytest.raises(ValueError, match="no cost 'params' to minimise: did you mean parameters"):
        Sweep(space="search_spaces.digits", minimise="params")
    names = {
        Sweep(space="search_spaces.digits", minimise=cost).name()
        for cost in (None, "parameters", "operations")
    }
    assert len(names) == 3
