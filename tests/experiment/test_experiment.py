"""An experiment's identity: equal where the same is computed, another where anything else is."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from dfkd import recipes
from dfkd.data.images.transforms import Crop
from dfkd.data.pools import ParquetPool
from dfkd.data.pools.glyphs import Glyphs
from dfkd.data.tasks import Digits
from dfkd.experiment import Cell, Experiment, Schedule
from dfkd.identity import spec
from dfkd.method import dropping, selection
from dfkd.method.dropping import Tail
from dfkd.method.losses import KD, PooledFeatures, Similarity
from dfkd.method.selection import Balanced, Rows
from dfkd.method.selection.budget import Budget
from dfkd.models.networks import SmallResNet
from dfkd.models.teachers import SupervisedTeacher, TeacherFile
from dfkd.scores import Scores
from dfkd.seeding import Block
from dfkd.studies import Study

SMALL = SmallResNet(width=8, stem_stride=2, norm="batch")
PLAIN = Experiment(
    task=Digits(),
    pool=Glyphs(rows=600),
    teacher=TeacherFile(path="t.safetensors", network=SMALL),
    student=SMALL,
    selection=selection.Random(ratio=0.2),
    schedule=Schedule(steps=20),
)
FULL = replace(
    PLAIN,
    teacher=SupervisedTeacher(network=SMALL),
    selection=Balanced(ratio=0.1),
    dropping=Tail(rate=0.3),
    explicit=PooledFeatures(weight=3.0),
    implicit=Similarity(weight=1.0),
    views=Crop(padding=1, flip=False),
)
ANOTHER = replace(
    PLAIN,
    pool=ParquetPool(path="pool"),
    teacher=SupervisedTeacher(network=SMALL),
    selection=selection.Confident(ratio=0.2),
    dropping=dropping.Random(rate=0.3),
    implicit=Similarity(weight=1.0),
)
GOLDEN = {
    "plain": (PLAIN, "e876836cce51810e3e8c"),
    "full": (FULL, "0978057b11e0b8bdc373"),
    "another": (ANOTHER, "8a34b9a96b754a6c34c7"),
}
HOLDERS = {  # which of the three a raised version makes stale
    Digits: {"plain", "full", "another"},
    Glyphs: {"plain", "full"},
    ParquetPool: {"another"},
    TeacherFile: {"plain"},
    SupervisedTeacher: {"full", "another"},
    SmallResNet: {"plain", "full", "another"},
    selection.Random: {"plain"},
    selection.Balanced: {"full"},
    selection.Confident: {"another"},
    dropping.Tail: {"full"},
    dropping.Random: {"another"},
    KD: {"plain", "full", "another"},
    PooledFeatures: {"full"},
    Similarity: {"full", "another"},
    Crop: {"full"},
    Schedule: {"plain", "full", "another"},
}


def fingerprints() -> dict[str, str]:
    return {name: experiment.fingerprint() for name, (experiment, _) in GOLDEN.items()}


def keys() -> dict[str, str]:
    block = Block(seed=0)
    return {
        name: Cell(experiment=e, block=block).key("teacher", "pool")
        for name, (e, _) in GOLDEN.items()
    }


def same(one: Experiment, other: Experiment) -> bool:
    """Equal in everything that identity and people see."""
    equal = one.fingerprint() == other.fingerprint()
    assert equal == (not one.diff(other)) == (one.params() == other.params())
    return equal


# ---- identity


@pytest.mark.parametrize("name", GOLDEN)
def test_fingerprints_are_golden(name):
    experiment, expected = GOLDEN[name]
    assert experiment.fingerprint() == expected


def test_the_key_of_a_cell_is_golden():
    assert (
        Cell(experiment=FULL, block=Block(seed=3)).key("teacher", "pool") == "074b52f9524a2b4e4a7a"
    )


@pytest.mark.parametrize(
    "kind", HOLDERS, ids=lambda kind: f"{kind.__module__.split('.')[-1]}.{kind.__name__}"
)
def test_a_raised_version_makes_exactly_the_experiments_stale_that_hold_the_piece(
    kind, monkeypatch
):
    before, keys_before = fingerprints(), keys()
    monkeypatch.setattr(kind, "version", kind.version + 1)
    assert {
        name for name, fingerprint in fingerprints().items() if fingerprint != before[name]
    } == HOLDERS[kind]
    assert {name for name, key in keys().items() if key != keys_before[name]} == HOLDERS[kind]


def test_block_teacher_and_pool_are_part_of_a_cells_key():
    cell = Cell(experiment=FULL, block=Block(seed=0))
    others = [
        replace(cell, block=block)
        for block in (Block(seed=1), Block(seed=0, draw=1), Block(seed=0, teacher=1))
    ]
    all_keys = [c.key("teacher", "pool") for c in (cell, *others)]
    all_keys += [cell.key("another", "pool"), cell.key("teacher", "another")]
    assert len(set(all_keys)) == 6


def test_where_teacher_and_pool_lie_is_not_identity():
    moved = replace(ANOTHER, pool=ParquetPool(path="elsewhere"))
    assert moved.fingerprint() == ANOTHER.fingerprint()
    moved = replace(PLAIN, teacher=TeacherFile(path="elsewhere", network=SMALL))
    assert moved.fingerprint() == PLAIN.fingerprint()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"explicit": PooledFeatures(weight=1)}, {"explicit": PooledFeatures(weight=1.0)}),
        ({"dropping": Tail(rate=0.31)}, {"dropping": Tail(rate=0.35)}),
        ({"dropping": Tail(rate=0.3)}, {"dropping": Tail(rate=0.1 + 0.2)}),
        ({"dropping": Tail(rate=0.95)}, {"dropping": Tail(rate=0.8)}),  # two classes stay
        ({"dropping": Tail(rate=0.09)}, {"dropping": None}),
        ({"dropping": dropping.Random(rate=0)}, {"dropping": None}),
        ({"explicit": PooledFeatures(weight=0)}, {"explicit": None}),
        ({"implicit": Similarity(weight=0, tau=0.5)}, {"implicit": None}),
        ({"views": Crop(padding=0, flip=False)}, {"views": None}),
    ],
    ids=str,
)
def test_what_computes_the_same_is_the_same(one, other):
    assert same(replace(FULL, **one), replace(FULL, **other))


@pytest.mark.parametrize(
    "change",
    [
        {"dropping": Tail(rate=0.4)},
        {"dropping": dropping.Random(rate=0.3)},
        {"dropping": None},
        {"explicit": PooledFeatures(weight=3.1)},
        {"explicit": None},
        {"implicit": Similarity(weight=1.0, tau=0.2)},
        {"explicit": Similarity(weight=1.0), "implicit": PooledFeatures(weight=3.0)},
        {"kd": KD(temperature=3.0)},
        {"selection": selection.Random(ratio=0.1)},
        {"student": SmallResNet(width=16, stem_stride=2)},
        {"schedule": Schedule(steps=20, evaluations=5)},
        {"views": None},
        {"pool": Glyphs(rows=601)},
    ],
    ids=str,
)
def test_what_computes_something_else_is_another(change):
    assert not same(FULL, replace(FULL, **change))


def test_the_canonical_form_is_stable():
    odd = replace(FULL, dropping=Tail(rate=0.35), implicit=Similarity(weight=0))
    assert (
        odd.canonical()
        == odd.canonical().canonical()
        == replace(FULL, dropping=Tail(rate=0.3), implicit=None)
    )


@dataclass(frozen=True, kw_only=True)
class Balanced2(Budget):
    """A user's own selection."""

    version: ClassVar[int] = 7

    def select(self, scores: Scores, seed: int) -> Rows:
        return np.arange(self.count(len(scores)))


class NotAPiece:
    """A user's own selection that is no dataclass: two configurations would be one experiment."""

    def __init__(self, ratio: float) -> None:
        self.ratio = ratio


def test_a_users_own_piece_is_named_with_its_module():
    mine = replace(FULL, selection=Balanced2(ratio=0.1))
    assert mine.params()["selection"] == f"{__name__}.Balanced2"
    assert mine.fingerprint() != FULL.fingerprint()


@pytest.mark.parametrize("part", [NotAPiece(ratio=0.1), Balanced])
def test_a_part_without_an_identity_is_refused(part):
    with pytest.raises(TypeError, match="must be an instance of a frozen dataclass"):
        spec(part)
    with pytest.raises(ValueError, match=r"frozen dataclass|an instance: write Balanced\(\.\.\.\)"):
        replace(FULL, selection=part)


# ---- for people


@pytest.mark.parametrize("name", GOLDEN)
def test_params_are_flat_dotted_scalars(name):
    params = GOLDEN[name][0].params()
    assert all(type(value) in (bool, int, float, str) for value in params.values())
    assert all(part.isidentifier() for name in params for part in name.split("."))
    parts = {
        "task",
        "pool",
        "teacher",
        "student",
        "selection",
        "dropping",
        "kd",
        "explicit",
        "implicit",
        "views",
    }
    assert {name for name in params if "." not in name} == parts
    assert params["schedule.steps"] == 20


def test_params_are_those_of_the_canonical_form():
    assert replace(FULL, dropping=Tail(rate=0.35)).params()["dropping.rate"] == 0.3
    assert replace(FULL, implicit=Similarity(weight=0)).params()["implicit"] == "none"


def test_diff_names_what_differs_with_both_values():
    assert FULL.diff(replace(FULL, kd=KD(temperature=2))) == {"kd.temperature": (4.0, 2.0)}
    assert FULL.diff(replace(FULL, dropping=None)) == {
        "dropping": ("tail", "none"),
        "dropping.rate": (0.3, None),
    }
    assert replace(FULL, dropping=None).diff(FULL)["dropping.rate"] == (None, 0.3)
    assert FULL.diff(FULL) == {}


def test_recipes_are_complete_and_distinct():
    made = {name: recipe() for name, recipe in recipes.RECIPES.items()}
    assert len({experiment.fingerprint() for experiment in made.values()}) == len(made)


# ---- studies


def test_a_study_pairs_its_variants_block_by_block():
    study = Study(question="?", variants={"full": FULL, "plain": PLAIN}, baseline="full", blocks=2)
    assert [(name, cell.block.seed) for (name, _), cell in study.cells().items()] == [
        ("full", 0),
        ("plain", 0),
        ("full", 1),
        ("plain", 1),
    ]
    assert study.cells()["plain", 1].experiment is PLAIN


def test_a_study_that_changes_nothing_is_refused():
    twin = replace(FULL, dropping=Tail(rate=0.35))
    with pytest.raises(
        ValueError, match="'full' and 'twin' are one experiment: the study changes nothing"
    ):
        Study(question="?", variants={"full": FULL, "twin": twin}, baseline="full")
    with pytest.raises(ValueError, match="the baseline must be one of"):
        Study(question="?", variants={"full": FULL}, baseline="none")
    with pytest.raises(ValueError, match="2 to 1,000 blocks"):
        Study(question="?", variants={"full": FULL}, baseline="full", blocks=1)
