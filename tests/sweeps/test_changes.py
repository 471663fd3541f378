"""A search that goes on after the code around its space has changed: old probes choose nothing.

The space's own source, which gives the sweep its name, is the same throughout.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import PROJECTS, run
from optuna.trial import FrozenTrial
from written_spaces import drawn, ended, journal_of, search_of, trial_context, view_of

from dfkd.identity import Scalar
from dfkd.reporting.console import Console
from dfkd.storage import FolderStorage
from dfkd.sweeps.context import TrialContext
from dfkd.sweeps.optuna_view import read_view
from dfkd.sweeps.searching import is_changed, note_changes
from dfkd.sweeps.sweep import Sweep

SPACE = """
from dataclasses import replace
import pieces_of_mine as mine
from dfkd.experiment.recipes import digits
default = digits()
def space(trial):
    ratio = trial.suggest_float("selection.ratio", *mine.RATIOS)
    return replace(default, selection=mine.Rule(ratio=ratio), dropping=mine.dropping(trial))
"""
PIECES = """
from dataclasses import dataclass
from typing import ClassVar
from dfkd.method.dropping import Tail
from dfkd.method.selection import Balanced as Rule
RATIOS = (0.05, 0.5)
@dataclass(frozen=True, kw_only=True)
class Own(Tail):
    version: ClassVar[int] = 1
def dropping(trial):
    return Own(rate=0.3)
"""


class Said(Console):
    """Keeps its lines."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def context_with(
    write_module: Callable[..., None], tmp_path: Path
) -> Callable[[str], TrialContext]:
    """`context_with(pieces)`: what trials share of a space that imports this helper module."""

    def context(pieces: str) -> TrialContext:
        write_module("changing", SPACE)
        write_module("pieces_of_mine", pieces)
        return trial_context("changing", FolderStorage(tmp_path / "runs"))

    return context


@pytest.fixture
def searched(context_with: Callable[[str], TrialContext]) -> list[dict[str, Scalar]]:
    """The parameters of four trials that ended, and of a fifth that was interrupted.

    The first is the default as it is: the space makes a piece of the user's in its place.
    """
    search = search_of(context_with(PIECES), trials=9)
    params = [drawn(search, name) for name in "abcde"]
    for number, name in enumerate("abcd"):
        search.on_trial_complete(name, ended(0.5 + number / 10))
    return [dict(found or {}) for found in params]


CHANGES: dict[str, tuple[Callable[[str], str], int]] = {  # of the helper; trials to be run again
    "nothing": (lambda text: text, 0),
    "a comment": (lambda text: text + "\n# more to come\n", 0),
    "a wider range": (lambda text: text.replace("0.05, 0.5", "0.01, 0.9"), 0),
    "another rule": (lambda text: text.replace("import Balanced as", "import Random as"), 3),
    "a piece's version": (lambda text: text.replace("[int] = 1", "[int] = 2"), 3),
}


@pytest.mark.parametrize("change", CHANGES)
def test_trials_whose_cells_have_changed_are_run_again_and_the_others_are_not(
    change: str, context_with: Callable[[str], TrialContext], searched: list[dict[str, Scalar]]
) -> None:
    name = Sweep(space="changing").name()
    apply, again = CHANGES[change]
    context, console = context_with(apply(PIECES)), Said()
    assert Sweep(space="changing").name() == name  # so it goes on in the same folder
    note_changes(journal_of(context), context, console)
    said = [f"{again} of 5 trials are run again"] if again else []
    assert [line.split(":")[0] for line in console.lines] == said
    search = search_of(context, trials=9)
    # old probes are not told to the sampler, nor is trial 0, which the space does not make
    assert len(told(context)) == 3 - again
    asked = [drawn(search, name) for name in "fghij"[: again + 1]]
    assert asked == (searched[1:] if again else searched[4:])
    records = journal_of(context).read()
    assert [trial.number for trial in records] == list(range(5))
    assert not any(is_changed(trial, context) for trial in records)
    assert sum(trial.state == "running" for trial in records) == again + 1


def told(context: TrialContext) -> list[FrozenTrial]:
    """The trials whose ends Optuna knows, as its own view of the search has them."""
    return [trial for trial in read_view(view_of(context)).values() if trial.state.is_finished()]


def test_where_the_space_asks_for_more_by_now_other_values_are_drawn(
    context_with: Callable[[str], TrialContext], searched: list[dict[str, Scalar]]
) -> None:
    asks = 'rate=trial.suggest_float("dropping.rate", 0, 0.9)'
    context, console = context_with(PIECES.replace("rate=0.3", asks)), Said()
    note_changes(journal_of(context), context, console)
    assert [line.split(":")[0] for line in console.lines] == ["3 of 5 trials are run again"]
    search = search_of(context, trials=9)
    asked = [drawn(search, name) for name in "fghi"]
    assert all(found and found.keys() == {"selection.ratio", "dropping.rate"} for found in asked)
    assert [trial.number for trial in journal_of(context).read()] == list(range(5))


def test_a_second_look_finds_nothing_more_to_say(
    context_with: Callable[[str], TrialContext], searched: list[dict[str, Scalar]]
) -> None:
    context, console = context_with(CHANGES["another rule"][0](PIECES)), Said()
    note_changes(journal_of(context), context, console)
    note_changes(journal_of(context), context, console)
    assert len(console.lines) == 1


def test_values_outside_a_narrower_range_keep_their_cells_and_teach_the_sampler_nothing(
    context_with: Callable[[str], TrialContext], searched: list[dict[str, Scalar]]
) -> None:
    context, console = context_with(PIECES.replace("0.05, 0.5", "0.05, 0.3")), Said()
    note_changes(journal_of(context), context, console)
    assert not console.lines
    inside = [params for params in searched[1:4] if float(params["selection.ratio"]) <= 0.3]
    with pytest.warns(UserWarning, match="out of the range"):
        search_of(context, trials=9)
    assert 0 < len(told(context)) == len(inside) < 3


CHANGING = """
from dataclasses import replace
from rule_of_mine import Rule
from tiny_space import default
def space(trial):
    return replace(default, selection=Rule(ratio=trial.suggest_float("selection.ratio", 0.1, 0.9)))
"""


@pytest.mark.slow  # the same as above, with Ray
def test_after_a_change_of_what_a_space_imports_its_trials_are_run_again_and_said(
    tmp_path: Path,
) -> None:
    shutil.copy(PROJECTS / "tiny_space.py", tmp_path)
    (tmp_path / "changing_space.py").write_text(CHANGING)
    command = ("sweep", "changing_space", "--trials", "3", "--blocks", "2", "--storage", "runs")
    rule = tmp_path / "rule_of_mine.py"
    rule.write_text("from dfkd.method.selection import Balanced as Rule")
    first = run(*command, folder=tmp_path)
    assert first.returncode == 0, first.stderr
    before = trials(tmp_path)
    rule.write_text("from dfkd.method.selection import Random as Rule")
    second = run(*command, folder=tmp_path)
    assert second.returncode == 0, second.stderr
    assert "3 of 3 trials are run again" in second.stdout and "done already" not in second.stdout
    after = trials(tmp_path)
    assert [trial["params"] for trial in after] == [trial["params"] for trial in before]
    rules = {
        json.loads(record.read_text())["params"]["selection"]
        for trial in after
        for record in tmp_path.glob(f"runs/cells/{trial['cell']}/record.json")
    }
    assert rules == {"random"}
    third = run(*command, folder=tmp_path)
    assert third.returncode == 0 and "done already" in third.stdout, third.stderr
    assert "run again" not in third.stdout


def trials(folder: Path) -> list[dict[str, Any]]:
    files = sorted(folder.glob("runs/sweeps/*/trials/*.json"))
    return [json.loads(file.read_text()) for file in files]
