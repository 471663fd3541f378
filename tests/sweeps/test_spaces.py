"""Spaces as people write them: what a trial suggests, and what the search makes of the default."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from written_spaces import ended, journal_of, search_of, view_of

from dfkd.sweeps.context import TrialContext
from dfkd.sweeps.optuna_view import read_view
from dfkd.sweeps.search import SweepSearch
from dfkd.sweeps.searching import is_changed
from dfkd.sweeps.sweep import Sweep
from dfkd.sweeps.trial import Trial

CONDITION = """
    if trial.suggest_categorical("selection", ["balanced", "random"]) == "balanced":
        return with_ratio(trial.suggest_float("ratio_b", .1, .9))
    return replace(default, selection=Random(rows=trial.suggest_int("rows_r", 64, 512, log=True)))
"""


def journal(context: TrialContext) -> list[Trial]:
    return journal_of(context).read()


def end(search: SweepSearch, name: str, value: float) -> None:
    search.on_trial_complete(name, ended(value))


MISSED: dict[str, tuple[str, dict[str, Any]]] = {  # bodies; what trial 0 is shown to have
    "outside the range": (
        'return with_ratio(trial.suggest_float("selection.ratio", .2, .9))',
        {"selection.ratio": 0.1},
    ),
    "not on the grid": (
        'return with_ratio(trial.suggest_float("selection.ratio", .05, .95, step=.1))',
        {"selection.ratio": 0.1},
    ),
    "not among the choices": (
        'return with_batch(trial.suggest_categorical("schedule.batch", [8, 32]))',
        {"schedule.batch": 64},
    ),
    "other names": ('return with_ratio(trial.suggest_float("ratio", .05, .9))', {}),
    "another kind of value": ('return with_ratio(trial.suggest_float("selection", .05, .9))', {}),
    "under a condition": (CONDITION, {"selection": "balanced"}),
    "pieces with names of their own": (
        'return replace(default, implicit=choose(trial, "loss", {"a": RKD(weight=2), "b": None}))',
        {},
    ),
}


@pytest.mark.parametrize("case", MISSED)
def test_a_default_that_the_space_does_not_make_is_tried_as_it_is(
    case: str, context_of: Callable[..., TrialContext]
) -> None:
    body, shown = MISSED[case]
    context = context_of(f"    {body}")
    search = search_of(context)
    for name in "abc":
        search.suggest(name)
        end(search, name, 0.5)
    first, *others = journal(context)
    assert first.is_default and dict(first.params) == shown and first.state == "finished"
    assert context.made_of(first) == context.space.default()
    assert not any(trial.is_default for trial in others)
    again = search_of(context)  # a later call goes on
    assert again.suggest("d") is not None
    assert not any(is_changed(trial, context) for trial in journal(context))
    view = read_view(view_of(context))
    assert sorted(view) == [1, 2, 3]  # the sampler does not see it


FITTING = {
    "its own name": 'return with_ratio(trial.suggest_float("selection.ratio", .05, .9))',
    "a choice": 'return with_batch(trial.suggest_categorical("schedule.batch", [8, 64]))',
    "a grid": 'return with_ratio(trial.suggest_float("selection.ratio", .0, .9, step=.05))',
}


@pytest.mark.parametrize("case", FITTING)
def test_a_default_that_the_space_makes_is_told_to_the_sampler(
    case: str, context_of: Callable[..., TrialContext]
) -> None:
    context = context_of(f"    {FITTING[case]}")
    search_of(context).suggest("a")
    [first] = journal(context)
    assert not first.is_default and context.made_of(first) == context.space.default()
    assert read_view(view_of(context)).keys() == {0}


def test_an_interrupted_default_is_asked_for_again_as_it_is(
    context_of: Callable[..., TrialContext],
) -> None:
    context = context_of(CONDITION)
    search_of(context).suggest("a")
    search_of(context).suggest("b")
    [first] = journal(context)
    assert first.is_default and first.state == "running"


PRUNING = """
    ratio = trial.suggest_float("selection.ratio", .05, .95)
    if ratio > .3:
        raise optuna.TrialPruned()
    return with_ratio(ratio)
"""


@pytest.mark.parametrize("batch", [None, 2])
def test_a_trial_that_the_space_prunes_is_pruned_and_counts(
    batch: int | None, context_of: Callable[..., TrialContext]
) -> None:
    context = context_of(PRUNING)
    search, asked = search_of(context, trials=8, batch=batch), 0
    while (config := search.suggest(str(asked))) != "FINISHED":
        assert config is not None
        end(search, str(asked), 0.5) if batch is None else None
        asked += 1
        if batch is not None and search.suggest("too many") is None:
            for name in list(search._live):
                end(search, name, 0.5)
    trials = journal(context)
    assert [trial.number for trial in trials] == list(range(8)) and all(t.ended for t in trials)
    pruned = [trial for trial in trials if trial.state == "pruned"]
    assert len(trials) - len(pruned) == asked and 0 < len(pruned) < 8
    for trial in trials:
        assert (float(trial.params["selection.ratio"]) > 0.3) == (trial in pruned)
        assert not is_changed(trial, context)
    search_of(context, trials=8)
    view = read_view(view_of(context))
    if batch is None:
        assert {n for n, t in view.items() if t.state.name == "PRUNED"} == {
            trial.number for trial in pruned
        }


NAMES = (
    "a/b",
    "a/b/c",
    "trial",
    "probe",
    "cell",
    "config",
    "grid_search",
    "α β",
    "$x_1$ & {y}",
    "",
)


def test_a_parameter_may_have_any_name(context_of: Callable[..., TrialContext]) -> None:
    context = context_of(
        f"""
    ratios = [trial.suggest_float(name, .05, .09) for name in {NAMES!r}]
    return with_ratio(sum(ratios) / 2)
"""
    )
    search = search_of(context)
    for name in "ab":
        search.suggest(name)
        end(search, name, 0.5)
    _, trial = journal(context)
    assert tuple(trial.params) == NAMES
    assert trial.cell == context.job(trial).name


def test_another_sampler_is_another_sweep_and_the_usual_one_keeps_its_name() -> None:
    names = [Sweep(space="search_spaces.digits", sampler=s).name() for s in ("tpe", "gp", "random")]
    assert names[0] == "digits-174ed102" and len(set(names)) == 3
    with pytest.raises(ValueError, match=r"no sampler 'gpp': did you mean gp"):
        Sweep(space="search_spaces.digits", sampler="gpp")


@pytest.mark.parametrize(("sampler", "kind"), [("gp", "GPSampler"), ("random", "RandomSampler")])
def test_a_search_with_a_condition_asks_any_sampler(
    sampler: str, kind: str, context_of: Callable[..., TrialContext]
) -> None:
    context = context_of(CONDITION)
    search = search_of(context, trials=10, sampler=sampler)
    assert type(search._ot_study.sampler).__name__ == kind
    for number in range(10):  # more than those at random before the sampler models anything
        search.suggest(str(number))
        end(search, str(number), 0.5 + number / 100)
    assert [trial.state for trial in journal(context)] == ["finished"] * 10


def test_the_mark_of_a_default_as_it_is_survives_the_disk_and_older_records_have_none() -> None:
    trial = Trial(number=0, params={}, cell="key", state="finished", step=5, value=0.5)
    assert "is_default" not in trial.record()
    marked = replace(trial, is_default=True)
    assert Trial(**json.loads(json.dumps(marked.record()))) == marked
