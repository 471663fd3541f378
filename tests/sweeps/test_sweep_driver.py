"""What a sweep says of a space that cannot work, before a cluster is started for it."""

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from dfkd.execution.compute import Compute
from dfkd.execution.local_executor import local_executor
from dfkd.reporting.console import Console
from dfkd.storage import FolderStorage
from dfkd.storage.ledger import Ledger
from dfkd.sweeps.choosing import nothing_to_choose
from dfkd.sweeps.driver import run_sweep
from dfkd.sweeps.sweep import Sweep
from dfkd.sweeps.trial import Trial

SPACE = """
from dataclasses import replace
from dfkd.data.pools.glyphs import Glyphs
from dfkd.experiment.recipes import digits
from dfkd.models.networks import SmallResNet
from dfkd.models.teachers import SupervisedTeacher
teacher = SupervisedTeacher(network=SmallResNet(width=8, stem_stride=2), steps=30, batch=32)
default = replace(digits(), pool=Glyphs(rows=600), teacher=teacher)
def space(trial):
    rate = trial.suggest_float("dropping.rate", 0.0, 0.9)
    {body}
"""


@pytest.fixture
def sweep_of(write_module: Callable[..., None]) -> Callable[[str], Sweep]:
    """`sweep_of(body)`: the sweep of a space whose function ends with this body."""

    def write(body: str) -> Sweep:
        write_module("space_of_mine", SPACE.format(body=body))
        return Sweep(space="space_of_mine", trials=2)

    return write


def never(*_: object) -> NoReturn:
    raise AssertionError("an executor was opened")


def test_a_space_that_raises_stops_with_its_own_line_before_anything_is_spent(
    sweep_of: Callable[[str], Sweep], tmp_path: Path
) -> None:
    compute = Compute(storage=FolderStorage(tmp_path / "runs"))
    with pytest.raises(ValueError, match=r"^space_of_mine\.py:11 in space: KeyError: 'gone'$"):
        run_sweep(sweep_of('return {}["gone"]'), compute, Console(quiet=True), never)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("body", "made"), [("pass", "None"), ("return rate", "a float")])
def test_a_space_that_returns_no_experiment_is_one_line(
    body: str, made: str, sweep_of: Callable[[str], Sweep], tmp_path: Path
) -> None:
    compute = Compute(storage=FolderStorage(tmp_path / "runs"))
    line = rf"^space_of_mine.space\(trial\) must return an Experiment, but got {made}$"
    with pytest.raises(ValueError, match=line):
        run_sweep(sweep_of(body), compute, Console(quiet=True), never)
    assert not (tmp_path / "runs").exists()


def test_a_search_without_ray_is_refused_in_one_line(
    sweep_of: Callable[[str], Sweep], tmp_path: Path
) -> None:
    """Tune would start a Ray of its own, which nobody shuts down."""
    compute = Compute(storage=FolderStorage(tmp_path / "runs"))
    with pytest.raises(ValueError, match="a search runs on Ray Tune"):
        run_sweep(sweep_of("return default"), compute, Console(quiet=True), local_executor)


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (
            'x\n  File "a.py", line 3\nmine.Odd: boom\nand more',
            "The first failure: a.py:3: Odd: boom (its",
        ),
        ("ValueError: no rows", "no rows (its log:  python -m platform.show b --storage /"),
        ("", "The first failure: it left no log"),
    ],
)
def test_a_sweep_in_which_everything_failed_says_why(
    tmp_path: Path, log: str, expected: str
) -> None:
    ledger = Ledger(FolderStorage(tmp_path))
    ledger.write_error("b", log)
    states = ("diverged", "errored", "errored")
    trials = [Trial(number=i, params={}, cell="abc"[i], state=s) for i, s in enumerate(states)]
    line = nothing_to_choose("digits-1", trials, ledger)
    assert line.startswith("no trial finished (1 diverged, 2 errored), so") and expected in line
    assert "sweeps/digits-1/trials" in nothing_to_choose("digits-1", trials[:1], ledger)
