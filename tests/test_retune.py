"""Retuning: what a search of a variant may set, what becomes of the study, and all of it once on Ray and Optuna."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from commands import PROJECTS, run

from ablations.components import study as components
from dfkd.cluster.retune import Retuning, _tuned
from dfkd.cluster.variants import Change, without_effect
from dfkd.console import Console
from dfkd.experiment import Experiment
from dfkd.method.dropping import Tail
from dfkd.method.losses import FitNet, PooledFeatures
from dfkd.method.selection import Balanced, Random
from dfkd.recipes import fashion
from search_spaces.digits import default, space

RETUNING = Retuning(space="search_spaces.digits", trials=12)
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
    setting = replace(default, selection=Balanced(ratio=0.3), dropping=Tail(rate=0.6), explicit=None)
    random = change_of(components.variants["without selection"])(setting)
    assert random == replace(setting, selection=Random(ratio=0.3))
    assert change_of(components.variants["without dropping"])(setting) == replace(setting, dropping=None)
    assert change_of(default)(setting) == setting


def test_a_part_that_a_setting_switched_off_comes_back_where_it_is_what_is_compared() -> None:
    hint = replace(default, explicit=FitNet(weight=50.0))
    setting = replace(default, dropping=Tail(rate=0.6), explicit=PooledFeatures(weight=0.0))
    assert change_of(hint)(setting) == replace(hint, dropping=Tail(rate=0.6))


def test_twins_are_left_out_and_the_baseline_stays() -> None:
    bare = components.variants["without explicit"]
    chosen = dict(components.variants) | {"full": bare}  # tuned, the full recipe has no explicit loss either
    study, told = _tuned(components, RETUNING, chosen, CONSOLE)
    assert list(study.variants) == ["full", "without selection", "without dropping", "without implicit"]
    assert told.twins == {"without explicit": "full"} and study.variants["full"] == bare
    assert told.settings["full"] == {"explicit": "none"} and told.settings["without dropping"] == {}
    with pytest.raises(ValueError, match="nothing to compare"):
        _tuned(components, RETUNING, dict.fromkeys(components.variants, default), CONSOLE)


def test_a_space_of_another_recipe_is_refused() -> None:
    other = replace(components, variants={"full": fashion(), "bare": replace(fashion(), dropping=None)})
    with pytest.raises(ValueError, match=r"searches around .* --space"):
        RETUNING.default(other)


STUDY = """
from dataclasses import replace
from tiny_space import default
from dfkd.experiment import Study
from dfkd.method.selection import Balanced
variants = {"full": default, "few": replace(default, selection=Balanced(ratio=0.2))}
study = Study(question="Do few suffice?", variants=variants, baseline="full", blocks=2)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(PROJECTS / "tiny_space.py", folder)
    (folder / "few.py").write_text(STUDY)
    return folder


COMMAND = ("few", "--retune", "4", "--space", "tiny_space", "--storage", "s")


def test_each_variant_is_tuned_once_and_the_report_says_so(project: Path) -> None:
    before = run("ablate", *COMMAND, "--dry-run", folder=project)
    assert "2 searches of 26 cells at most" in before.stdout, before.stderr
    assert not (project / "s").exists()
    done = run("ablate", *COMMAND, folder=project)
    assert done.returncode == 0, done.stderr
    searches = {found["variant"]: found for found in map(_json, project.glob("s/retunings/*/result-4.json"))}
    assert searches.keys() == {"full", "few"}
    assert all(len(found["trials"]) == 4 for found in searches.values())
    assert set(searches["few"]["chosen"]) == {"schedule.learning_rate"}  # its ratio is what is asked about
    assert set(searches["full"]["chosen"]) == {"selection.ratio", "schedule.learning_rate"}
    searched = {cell for found in searches.values() for cell in found["cells"]}
    read = {file.parent.name for file in project.glob("s/cells/*/test.json")}
    assert len(read) == 4 and not read & searched  # no search sees the test set
    record = _json(project / "s" / "studies" / "few-retuned-4" / "study.json")
    assert record["params"]["full"]["selection.ratio"] == searches["full"]["chosen"]["selection.ratio"]
    page = (project / "s" / "studies" / "few-retuned-4" / "report" / "report.md").read_text()
    assert "each variant was tuned by a search of its own, label-free, 4 trials in tiny_space" in page
    told = "s/retunings/*/tracked.json"
    kept = {file: file.stat().st_mtime_ns for part in ("s/cells/*/*", told) for file in project.glob(part)}
    again = run("ablate", *COMMAND, folder=project)
    assert "nothing to compute" in again.stdout and "tune" not in again.stdout.split("nothing")[0], again.stderr
    assert {file: file.stat().st_mtime_ns for file in kept} == kept and len(list(project.glob(told))) == 2
    after = run("ablate", *COMMAND, "--dry-run", folder=project)
    assert "4 cells, 4 done already" in after.stdout and "searches" not in after.stdout, after.stderr


def _json(path: Path) -> dict:
    return json.loads(path.read_text())
