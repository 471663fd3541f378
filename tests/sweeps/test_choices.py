"""What a trial offers a space: pieces by name, and any plain value as a choice."""

import json
from typing import Any

import numpy as np
import optuna
import pytest

import dfkd
from dfkd.method.losses import RKD, Similarity
from dfkd.sweeps.spaces import SpaceTrial

LOSSES = {"rkd": RKD(weight=1.0), "none": None}


def fixed(**params: Any) -> SpaceTrial:
    return SpaceTrial(optuna.trial.FixedTrial(params))


def test_a_piece_is_chosen_by_its_name() -> None:
    assert dfkd.choose(fixed(implicit="rkd"), "implicit", LOSSES) == RKD(weight=1.0)
    assert dfkd.choose(fixed(implicit="none"), "implicit", LOSSES) is None
    held = SpaceTrial(optuna.trial.FixedTrial({}), {"implicit": "rkd"})
    assert dfkd.choose(held, "implicit", LOSSES) == RKD(weight=1.0)


@pytest.mark.parametrize(
    "choices",
    [
        [(12, 16), (24, 8)],
        [[1, 2], [3, 4]],
        [{"batch": 8}, {"batch": 16}],
        [((1, "a"), None), ()],
        [np.int64(8), np.int64(16)],
        [True, "true", None, 2.5],
    ],
)
def test_any_plain_value_is_a_choice_and_comes_back_from_its_record(choices: list[Any]) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(8):
        trial = study.ask()
        chosen = SpaceTrial(trial).suggest_categorical("w", choices)
        recorded = json.loads(json.dumps(trial.params))
        assert chosen in choices
        assert fixed(**recorded).suggest_categorical("w", choices) == chosen


@pytest.mark.parametrize("piece", [Similarity(weight=1.0), Similarity, len, {1, 2}])
def test_a_piece_as_a_choice_is_one_line_that_shows_how_to_name_it(piece: Any) -> None:
    with pytest.raises(ValueError, match=r"'loss' .* choose\(trial, 'loss', {\"") as raised:
        fixed().suggest_categorical("loss", [piece, None])
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("options", [["rkd"], {}, {RKD: 1}])
def test_options_without_names_are_refused(options: Any) -> None:
    with pytest.raises(ValueError, match=r"'loss', .* takes names and pieces"):
        dfkd.choose(fixed(), "loss", options)


def test_a_choice_that_stands_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'w' .* twice: '\(1, 2\)'"):
        fixed().suggest_categorical("w", [(1, 2), "(1, 2)"])


# ---- the search, without workers
