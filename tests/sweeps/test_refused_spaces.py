"""Spaces that cannot be searched: each is refused in one line, before anything is computed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from written_spaces import HEAD

from dfkd.execution.compute import Compute
from dfkd.reporting.console import Console
from dfkd.storage import FolderStorage
from dfkd.storage.layout import Key
from dfkd.sweeps.context import TrialContext
from dfkd.sweeps.driver import run_sweep
from dfkd.sweeps.sweep import Sweep

REFUSED = {
    "other choices": (
        """
    big = trial.suggest_categorical("big", [True, False])
    return with_batch(trial.suggest_categorical("batch", [128, 256] if big else [8, 16]))
""",
        r"'batch' in two ways, among .* another name in the other branch, \"batch_2\"",
    ),
    "another kind": (
        """
    if trial.suggest_categorical("kind", ["a", "b"]) == "a":
        return with_ratio(trial.suggest_float("x", .1, .9))
    return with_ratio(trial.suggest_int("x", 1, 9) / 10)
""",
        "'x' in two ways, as (float|int) and as (float|int)",
    ),
    "another scale": (
        """
    log = trial.suggest_categorical("kind", ["a", "b"]) == "a"
    return with_ratio(trial.suggest_float("x", .1, .9, log=log))
""",
        "'x' in two ways, .* on a log scale",
    ),
    "a piece": (
        'return replace(default, implicit=trial.suggest_categorical("loss", [RKD(weight=1.0)]))',
        r"'loss' .* RKD among its choices: .*choose\(trial, 'loss'",
    ),
    "pruned throughout": ("raise optuna.TrialPruned()", "in all of 32 trials"),
    "an empty range": (
        'return with_ratio(trial.suggest_float("x", .9, .1))',
        "the parameter 'x' of the space: .*low",
    ),
    "an endless range": (
        'return with_ratio(trial.suggest_float("x", .1, float("inf")))',
        "the parameter 'x' of the space: bounds must be finite, but got inf",
    ),
    "no text as a name": (
        "return with_ratio(trial.suggest_float(3, .1, .9))",
        "must be text, but got 3",
    ),
    "nothing to search": ("return default", "asks for no parameter"),
    "draws of its own": (
        """
    import random
    return with_ratio(trial.suggest_float("x", .1, .5) + random.random() / 10)
""",
        "another experiment each time",
    ),
    "another teacher": (
        """
    steps = trial.suggest_int("steps", 10, 20)
    return replace(default, teacher=replace(default.teacher, steps=steps))
""",
        "share task, pool and teacher, and the space varies teacher.steps",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_space_that_cannot_be_searched_is_one_line_before_anything_is_computed(
    case: str, context_of: Callable[..., TrialContext]
) -> None:
    body, line = REFUSED[case]
    context = context_of(f"    {body}")

    def never(*_: object) -> Any:
        raise AssertionError("an executor was opened")

    with pytest.raises(ValueError, match=line) as raised:
        run_sweep(Sweep(space="written_space"), context.compute, Console(quiet=True), never)
    assert "\n" not in str(raised.value)
    assert not (Path(str(context.compute.storage.local(Key("cells")))).exists())


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("default = 'digits'\nspace = lambda trial: None", "default must be an Experiment"),
        ("space = 3", "space must be a function of one argument"),
        ("space = lambda: default", "space must be a function of one argument"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_a_module_that_is_no_space_is_one_line(
    lines: str, said: str, write_module: Callable[..., None], tmp_path: Path
) -> None:
    write_module("no_space", f"{HEAD.partition('def with_batch')[0]}{lines}\n")
    compute = Compute(storage=FolderStorage(tmp_path / "runs"))
    with pytest.raises(ValueError, match=said) as raised:
        run_sweep(Sweep(space="no_space"), compute, Console(quiet=True))
    assert "\n" not in str(raised.value)
