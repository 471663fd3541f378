"""Retuning.

What a search of a variant may set, what becomes of the study, and all of it once on Ray and Optuna.
"""

import importlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from commands import PROJECTS, run
from mlflow import MlflowClient

from ablations.components import study as components
from dfkd.execution.compute import Compute
from dfkd.experiment import Experiment
from dfkd.experiment.recipes import fashion
from dfkd.method.dropping import Tail
from dfkd.method.losses import FitNet, PooledFeatures
from dfkd.method.selection import Balanced, Random
from dfkd.reporting.console import Console
from dfkd.storage import FolderStorage
from dfkd.studies import Study
from dfkd.studies.driver import StudyOptions
from dfkd.studies.forecast import forecast
from dfkd.studies.retuning import run_retuned_study, tuned_study
from dfkd.studies.variant_search import Retuning
from dfkd.sweeps.variants import Change, without_effect
from search_spaces.digits import default, space

RETUNING = Retuning(space="search_spaces.digits", trials=12)
TINY = Retuning(space="own_space", trials=3)
CONSOLE = Console(quiet=True)


def change_of(variant: Experiment) -> Change:
    return Change.of(variant, default)


@pytest.mark.parametrize(
    ("variant", "fixed"),
    [
        ("full", set()),
        ("without selection", set()),  # the ratio is that of random rows then
        ("without dropping", {"dropping.rate"}),
        ("without explicit", {"explicit.weight"}),
        ("without implicit", {"implicit.weight"}),
    ],
)
def test_what_a_variant_has_not_is_not_searched(variant: str, fixed: set[str]) -> None:
    idle, is_free = without_effect(space, default.params(), change_of(components.variants[variant]))
    assert idle.keys() == fixed and is_free
    assert {name: default.params()[name] for name in fixed} == idle


def test_what_the_study_varies_is_not_searched_either() -> None:
    few = replace(default, selection=Balanced(ratio=0.05))
    idle, _ = without_effect(space, default.params(), change_of(few))
    assert idle.keys() == {"selection.ratio"}


def test_the_change_is_made_to_any_setting() -> None:
    run_context = replace(
        default, selection=Balanced(ratio=0.3), dropping=Tail(rate=0.6), explicit=None
    )
    random = change_of(components.variants["without selection"])(run_context)
    assert random == replace(run_context, selection=Random(ratio=0.3))
    assert change_of(components.variants["without dropping"])(run_context) == replace(
        run_context, dropping=None
    )
    assert change_of(default)(run_context) == run_context


def test_a_part_that_a_setting_switched_off_comes_back_where_it_is_what_is_compared() -> None:
    hint = replace(default, explicit=FitNet(weight=50.0))
    run_context = replace(default, dropping=Tail(rate=0.6), explicit=PooledFeatures(weight=0.0))
    assert change_of(hint)(run_context) == replace(hint, dropping=Tail(rate=0.6))


def test_twins_are_left_out_and_the_baseline_stays() -> None:
    bare = components.variants["without explicit"]
    # tuned, the full recipe has no explicit loss either
    chosen = dict(components.variants) | {"full": bare}
    study, told = tuned_study(components, RETUNING, chosen)
    assert list(study.variants) == [
        "full",
        "without selection",
        "without dropping",
        "without implicit",
    ]
    assert told.twins == {"without explicit": "full"} and study.variants["full"] == bare
    assert told.settings["full"] == {"explicit": "none"} and told.settings["without dropping"] == {}
    with pytest.raises(ValueError, match="nothing to compare"):
        tuned_study(components, RETUNING, dict.fromkeys(components.variants, default))


def test_a_space_of_another_recipe_is_refused() -> None:
    other = replace(
        components, variants={"full": fashion(), "bare": replace(fashion(), dropping=None)}
    )
    with pytest.raises(ValueError, match=r"searches around .* --space"):
        RETUNING.default(other)


STUDY = """
from dataclasses import replace
from tiny_space import default
from dfkd.studies import Study
from dfkd.method.selection import Balanced
variants = {"full": default, "few": replace(default, selection=Balanced(ratio=0.2))}
study = Study(question="Do few suffice?", variants=variants, baseline="full", blocks=2)
"""

SPACE = """
from dataclasses import replace
from own_rules import Rule
from tiny_space import default

def space(trial):
    rate = trial.suggest_categorical("schedule.learning_rate", [5e-3, 1e6])
    rule = Rule(ratio=trial.suggest_float("selection.ratio", 0.1, 0.9))
    return replace(
        default, selection=rule, schedule=replace(default.schedule, learning_rate=rate)
    )
"""
RULES = "from dfkd.method.selection import Balanced as Rule"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(PROJECTS / "tiny_space.py", folder)
    for name, text in {"few": STUDY, "own_space": SPACE, "own_rules": RULES}.items():
        (folder / f"{name}.py").write_text(text)
    return folder


COMMAND = ("few", "--retune", "3", "--space", "own_space", "--storage", "s")


@pytest.fixture(scope="module")
def done(project: Path) -> str:
    """What the command says."""
    found = run("ablate", *COMMAND, folder=project)
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.fixture
def few(project: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.syspath_prepend(str(project))
    study: Study = importlib.import_module("few").study
    return study


def test_a_forecast_counts_the_searches(few: Study, tmp_path: Path) -> None:
    told = forecast("few", few, Compute(storage=FolderStorage(tmp_path / "s")), retuning=TINY)
    assert (told.cells, told.searches, told.searched) == (4, 2, 24) and not (
        tmp_path / "s"
    ).exists()


@pytest.mark.slow
def test_each_variant_is_tuned_and_the_report_says_so(project: Path, done: str) -> None:
    searches = {
        found["variant"]: found for found in map(_json, project.glob("s/retunings/*/result-3.json"))
    }
    assert searches.keys() == {"full", "few"}
    assert all(len(found["trials"]) == 3 for found in searches.values())
    # its ratio is what is asked about
    assert set(searches["few"]["chosen"]) == {"schedule.learning_rate"}
    assert set(searches["full"]["chosen"]) == {"selection.ratio", "schedule.learning_rate"}
    searched = {cell for found in searches.values() for cell in found["cells"]}
    read = {file.parent.name for file in project.glob("s/cells/*/test.json")}
    assert len(read) == 4 and not read & searched  # no search sees the test set
    record = _json(project / "s" / "studies" / "few-retuned-3" / "study.json")
    assert (
        record["params"]["full"]["selection.ratio"] == searches["full"]["chosen"]["selection.ratio"]
    )
    said = "each variant was tuned by a search of its own, label-free, 3 trials in own_space"
    assert (
        said in (project / "s" / "studies" / "few-retuned-3" / "report" / "report.md").read_text()
        and said in done
    )


@pytest.mark.slow
def test_searches_stand_in_mlflow_with_their_trials(project: Path, done: str) -> None:
    client = MlflowClient(f"sqlite:///{project}/s/mlflow.db")
    experiment = client.get_experiment_by_name("dfkd").experiment_id
    for search in client.search_runs([experiment], "tags.kind = 'retuning'"):
        below = f"tags.mlflow.parentRunId = '{search.info.run_id}' AND tags.role = 'trial'"
        assert search.info.status == "FINISHED" and len(
            client.search_runs([experiment], below)
        ) in (2, 3)
        assert {file.path for file in client.list_artifacts(search.info.run_id)} == {"trials.json"}


@pytest.mark.slow
def test_what_was_searched_is_not_searched_again(project: Path, done: str, few: Study) -> None:
    where = Compute(storage=FolderStorage(project / "s"))
    kept = {file: file.stat().st_mtime_ns for file in (project / "s").rglob("*") if file.is_file()}
    # without a cluster
    assert (
        run_retuned_study("few-retuned-3", few, TINY, where, CONSOLE, StudyOptions()).computed == 0
    )
    after = forecast("few-retuned-3", few, where, retuning=TINY)
    assert (after.cells, after.done, after.searches) == (4, 4, 0)
    assert {file: file.stat().st_mtime_ns for file in kept} == kept


@pytest.mark.slow  # two searches on Ray; tests/sweeps/test_changes.py has the rule without it
def test_choices_among_cells_that_have_changed_since_are_made_again_and_said(
    project: Path, done: str, tmp_path: Path
) -> None:
    """The space imports a rule: with another rule in its place, the old probes choose nothing."""
    folder = tmp_path / "project"
    shutil.copytree(project, folder)
    (folder / "own_rules.py").write_text(RULES.replace("Balanced", "Random"))
    before = _cells(folder)
    again = run("ablate", *COMMAND, folder=folder)
    assert again.returncode == 0, again.stderr
    assert "full, few: tuned again" in again.stdout
    after = _cells(folder)
    assert after.keys() == before.keys()
    for variant, cells in before.items():
        fresh = [_json(folder / "s" / "cells" / cell / "record.json") for cell in after[variant]]
        changed = [record for record in fresh if record["cell"] not in cells]
        assert changed and {record["params"]["selection"] for record in changed} == {"random"}
        # what stays is the default, which the space does not make any more, as it is
        kept = {record["params"]["selection.ratio"] for record in fresh if record not in changed}
        assert len(kept) <= 1


def _cells(folder: Path) -> dict[str, set[str]]:
    """The cells of every search, by its variant."""
    found = map(_json, folder.glob("s/retunings/*/result-3.json"))
    return {search["variant"]: set(search["cells"]) for search in found}


def _json(path: Path) -> dict:
    return json.loads(path.read_text())
