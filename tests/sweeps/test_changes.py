"""A search that goes on after the code around its space has changed: old probes choose nothing.

The space's own source, which gives the sweep its name, is the same throughout.
"""

import importlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from commands import PROJECTS, run
from optuna.trial import FrozenTrial

from dfkd.execution.compute import Compute
from dfkd.experiment import Cell
from dfkd.identity import Scalar
from dfkd.reporting.console import Console
from dfkd.seeding import Block
from dfkd.storage import FolderStorage
from dfkd.storage.layout import Key
from dfkd.sweeps.context import TrialContext
from dfkd.sweeps.journal import Journal
from dfkd.sweeps.options import SearchOptions
from dfkd.sweeps.optuna_view import read_view
from dfkd.sweeps.search import SweepSearch
from dfkd.sweeps.search_space import SearchSpace
from dfkd.sweeps.searching import is_changed, note_changes
from dfkd.sweeps.sweep import SEARCH, Sweep
from dfkd.sweeps.trials import trial_in
from dfkd.training.environment import this_environment
from dfkd.training.inputs import inputs_key
from dfkd.training.jobs import RunContext

FOLDER = Key("sweeps/changing")
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


@dataclass(frozen=True, kw_only=True)
class Project:
    """A user's folder with a space and the module that it imports, on an empty storage."""

    folder: Path
    storage: FolderStorage

    def write(self, pieces: str) -> TrialContext:
        """Write the helper module and load both anew, as a new process does."""
        (self.folder / "pieces_of_mine.py").write_text(pieces)
        for name in ("changing", "pieces_of_mine"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        default = importlib.import_module("changing").default
        cell = Cell(experiment=default, block=Block(seed=SEARCH))
        run_context = RunContext(
            environment=this_environment("cpu"), digests={inputs_key(cell): ("teacher", "pool")}
        )
        return TrialContext(
            space=SearchSpace(module="changing"),
            block=cell.block,
            run_context=run_context,
            compute=Compute(storage=self.storage),
        )

    def journal(self) -> Journal:
        return Journal(self.storage, FOLDER)

    def search(self, context: TrialContext) -> SweepSearch:
        view = self.storage.local(FOLDER / "optuna.log")
        return SweepSearch(context, self.journal(), view, SearchOptions(trials=9))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two versions within one second
    (tmp_path / "changing.py").write_text(SPACE)
    yield Project(folder=tmp_path, storage=FolderStorage(tmp_path / "runs"))
    for name in ("changing", "pieces_of_mine"):
        sys.modules.pop(name, None)


@pytest.fixture
def searched(project: Project) -> list[dict[str, Scalar]]:
    """The parameters of four trials that ended, and of a fifth that was interrupted.

    The first is the default as it is: the space makes a piece of the user's in its place.
    """
    search = project.search(project.write(PIECES))
    params = [drawn(search, name) for name in "abcde"]
    for number, name in enumerate("abcd"):
        search.on_trial_complete(name, ended(0.5 + number / 10))
    return [dict(found or {}) for found in params]


def drawn(search: SweepSearch, name: str) -> dict[str, Scalar] | None:
    """The parameters that the search suggests to a trial of Tune's; None for none yet."""
    config = search.suggest(name)
    return None if config is None else dict(trial_in(config).params)


def ended(value: float) -> dict[str, Any]:
    point = {"point/step": 200.0, "point/probe": value}
    return {"probe": value, "state": "finished", "time_total_s": 1.0, **point}


CHANGES: dict[str, tuple[Callable[[str], str], int]] = {  # of the helper; trials to be run again
    "nothing": (lambda text: text, 0),
    "a comment": (lambda text: text + "\n# more to come\n", 0),
    "a wider range": (lambda text: text.replace("0.05, 0.5", "0.01, 0.9"), 0),
    "another rule": (lambda text: text.replace("import Balanced as", "import Random as"), 3),
    "a piece's version": (lambda text: text.replace("[int] = 1", "[int] = 2"), 3),
}


@pytest.mark.parametrize("change", CHANGES)
def test_trials_whose_cells_have_changed_are_run_again_and_the_others_are_not(
    change: str, project: Project, searched: list[dict[str, Scalar]]
) -> None:
    name = Sweep(space="changing").name()
    apply, again = CHANGES[change]
    context, console = project.write(apply(PIECES)), Said()
    assert Sweep(space="changing").name() == name  # so it goes on in the same folder
    note_changes(project.journal(), context, console)
    said = [f"{again} of 5 trials are run again"] if again else []
    assert [line.split(":")[0] for line in console.lines] == said
    search = project.search(context)
    # old probes are not told to the sampler, nor is trial 0, which the space does not make
    assert len(told(project)) == 3 - again
    asked = [drawn(search, name) for name in "fghij"[: again + 1]]
    assert asked == (searched[1:] if again else searched[4:])
    records = project.journal().read()
    assert [trial.number for trial in records] == list(range(5))
    assert not any(is_changed(trial, context) for trial in records)
    assert sum(trial.state == "running" for trial in records) == again + 1


def told(project: Project) -> list[FrozenTrial]:
    """The trials whose ends Optuna knows, as its own view of the search has them."""
    view = read_view(project.storage.local(FOLDER / "optuna.log"))
    return [trial for trial in view.values() if trial.state.is_finished()]


def test_where_the_space_asks_for_more_by_now_other_values_are_drawn(
    project: Project, searched: list[dict[str, Scalar]]
) -> None:
    asks = 'rate=trial.suggest_float("dropping.rate", 0, 0.9)'
    context, console = project.write(PIECES.replace("rate=0.3", asks)), Said()
    note_changes(project.journal(), context, console)
    assert [line.split(":")[0] for line in console.lines] == ["3 of 5 trials are run again"]
    search = project.search(context)
    asked = [drawn(search, name) for name in "fghi"]
    assert all(found and found.keys() == {"selection.ratio", "dropping.rate"} for found in asked)
    assert [trial.number for trial in project.journal().read()] == list(range(5))


def test_a_second_look_finds_nothing_more_to_say(
    project: Project, searched: list[dict[str, Scalar]]
) -> None:
    context, console = project.write(CHANGES["another rule"][0](PIECES)), Said()
    note_changes(project.journal(), context, console)
    note_changes(project.journal(), context, console)
    assert len(console.lines) == 1


def test_values_outside_a_narrower_range_keep_their_cells_and_teach_the_sampler_nothing(
    project: Project, searched: list[dict[str, Scalar]]
) -> None:
    context, console = project.write(PIECES.replace("0.05, 0.5", "0.05, 0.3")), Said()
    note_changes(project.journal(), context, console)
    assert not console.lines
    inside = [params for params in searched[1:4] if float(params["selection.ratio"]) <= 0.3]
    with pytest.warns(UserWarning, match="out of the range"):
        project.search(context)
    assert 0 < len(told(project)) == len(inside) < 3


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
