"""The studies of the repository: each loads, and each variant changes what it says."""

import importlib
from dataclasses import replace
from pathlib import Path

import pytest

import ablations
from dfkd import recipes
from dfkd.method.dropping import DROPPINGS
from dfkd.method.losses import EXPLICIT, IMPLICIT, Both
from dfkd.method.selection import SELECTIONS, Confident
from dfkd.stats.aliases import resolution_of
from dfkd.studies import Study
from dfkd.studies.findings import levels_of
from dfkd.training.inputs import inputs_key

NAMES = sorted(path.stem for path in Path(ablations.__file__).parent.glob("[!_]*.py"))
# the others compare recipes, also on other pools
OF_ONE_RECIPE = [name for name in NAMES if name not in ("baselines", "generator")]


def study_of(name: str) -> Study:
    study = importlib.import_module(f"ablations.{name}").study
    assert isinstance(study, Study)
    return study


def test_the_studies_that_the_readme_names() -> None:
    assert set(NAMES) >= {
        "components",
        "build_up",
        "selection_rules",
        "pool_ratio",
        "drop_rate",
        "drop_rules",
        "explicit_losses",
        "implicit_losses",
        "factorial",
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_variant_differs_from_every_other_in_what_people_see(name: str) -> None:
    study = study_of(name)
    params = [tuple(e.params().items()) for e in study.variants.values()]
    assert len(set(params)) == len(params) > 1
    baseline = study.variants[study.baseline]
    assert all(
        e.diff(baseline) for variant, e in study.variants.items() if variant != study.baseline
    )
    assert study.question.endswith("?") and study.blocks >= 5


@pytest.mark.parametrize("name", OF_ONE_RECIPE)
def test_the_same_question_can_be_asked_of_another_recipe(name: str) -> None:
    module = importlib.import_module(f"ablations.{name}")
    other = replace(recipes.digits(), selection=Confident(rows=300))
    asked = module.study_of(other)
    assert set(asked.variants) and asked.question == module.study.question
    fingerprints = {e.fingerprint() for e in module.study.variants.values()}
    assert (
        not fingerprints & {e.fingerprint() for e in asked.variants.values()}
        or name == "selection_rules"
    )


@pytest.mark.parametrize(
    ("name", "part", "kinds"),
    [
        ("selection_rules", "selection", SELECTIONS),
        ("drop_rules", "dropping", DROPPINGS),
        ("explicit_losses", "explicit", EXPLICIT),
        ("implicit_losses", "implicit", (*IMPLICIT, Both)),
    ],
)
def test_a_study_of_rules_has_all_of_ours(name: str, part: str, kinds: tuple[type, ...]) -> None:
    assert {type(getattr(e, part)) for e in study_of(name).variants.values()} - {type(None)} == set(
        kinds
    )


def test_studies_share_cells() -> None:
    def fingerprints(name: str) -> set[str]:
        return {e.fingerprint() for e in study_of(name).variants.values()}

    # full, and without the implicit loss
    assert len(fingerprints("components") & fingerprints("build_up")) == 2
    assert len(fingerprints("components") & fingerprints("factorial")) == 4
    assert recipes.digits().fingerprint() in fingerprints("pool_ratio") & fingerprints("drop_rate")


def test_the_factorial_is_one() -> None:
    levels = levels_of(list(study_of("factorial").variants))
    assert levels is not None and len(levels) == 8 and resolution_of(levels) is None


def test_cells_of_a_study_share_teacher_and_pool() -> None:
    for name in OF_ONE_RECIPE:
        cells = study_of(name).cells().values()
        assert len({inputs_key(cell) for cell in cells}) == 1
