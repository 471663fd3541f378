"""The words of an inspection: what is wrong is said, with its numbers and what to do about it."""

from dataclasses import replace

import pytest
from inspections import plain, with_class

from dfkd.inspection.advice import advice
from dfkd.inspection.fitness import COVERED, MISSING, STARVED, THIN, Copies
from dfkd.inspection.tables import uncovered
from dfkd.inspection.verdict import verdict
from dfkd.reporting.numbers import ranges


def test_of_several_poor_classes_the_worst_are_named_with_their_numbers() -> None:
    classes = tuple(
        replace(c, taken=20 + c.label) if c.label in (1, 4, 5, 8) else c for c in plain().classes
    )
    assert verdict(plain(classes=classes)) == (
        "This pool can teach all 10 classes. 4 classes are thin: of a fair share of 50 rows "
        "balanced at ratio 0.5 takes 21 for class 1 (60 sure ones in the pool), 24 for class 4 (60 "
        "sure ones in the pool), 25 for class 5 (60 sure ones in the pool), and alike 8."
    )


def test_nothing_wrong_asks_for_nothing() -> None:
    assert verdict(plain()) == "This pool can teach all 10 classes." and advice(plain()) == []


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"taken": 0}, MISSING),
        ({"taken": 16}, STARVED),
        ({"taken": 17}, THIN),
        ({"taken": 45}, COVERED),
        ({"confident": 4}, STARVED),
        ({"confident": 5}, THIN),
        ({"confident": 13}, COVERED),
    ],
)
def test_states_of_a_class(changes: dict, state: str) -> None:
    found = with_class(**changes)
    assert found.state(found.classes[0]) == state


def test_the_tables_title_calls_classes_as_the_verdict_does() -> None:
    classes = tuple(
        replace(c, taken={1: 0, 4: 16, 5: 20}.get(c.label, c.taken)) for c in plain().classes
    )
    assert uncovered(plain(classes=classes)) == "missing 1; starved 4; thin 5"
    assert uncovered(plain()) == "all are covered"


PROFILE = plain().profile
CASES = {
    "weak teacher": (
        {"profile": replace(PROFILE, accuracy=0.3)},
        "right on 30 % of the validation images",
    ),
    "inverted": ({"profile": replace(PROFILE, pool_mean=(0.7,))}, "lies 1.3 deviations from"),
    "sure of nothing": (
        {"classes": tuple(replace(c, confident=2) for c in plain().classes)},
        "confident of 2.0 % of the rows only",
    ),
    "sure of all": ({"very_sure": 900}, "exceeds 0.99 on 90 % of the rows"),
    "one class": (
        {"classes": (replace(plain().classes[0], rows=600), *plain().classes[1:])},
        "Class 0: 60 % of the rows",
    ),
    "uneven choice": (
        {"choices": (replace(plain().own, counts=(100, *(50,) * 8, 0)),)},
        "balanced takes 100 rows of class 0, 2.0 times its fair share",
    ),
    "a rule of one class": (
        {"choices": (plain().own, replace(plain().own, rule="confident", counts=(0, 260, 240)))},
        "confident (52 % of class 1) would take most rows of one class",
    ),
    "copies": (
        {"copies": Copies(exact=100, near=50, blank=60, looked_at=1200)},
        "12 % of the rows repeat",
    ),
    "set aside": (
        {"set_aside": {"not an image": 90, "truncated": 10}},
        "most of them (90) because: not an image",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_said(case: str) -> None:
    changes, expected = CASES[case]
    assert any(expected in line for line in advice(plain(**changes)))


def test_balanced_batches_are_not_advised_to_who_has_them() -> None:
    crowd = replace(plain().own, counts=(140, *(40,) * 9))
    assert any("sampling=class_balanced" in line for line in advice(plain(choices=(crowd,))))
    assert advice(plain(choices=(crowd,), even_batches=True)) == []


def test_quotas_are_advised_where_they_help() -> None:
    balanced = plain().own
    crowd = replace(balanced, rule="confident", counts=(0, *(50,) * 8, 100))
    found = plain(choices=(crowd, balanced), rule="confident", classes=with_class(taken=0).classes)
    assert any("--set selection=balanced" in line for line in advice(found))


def test_ranges() -> None:
    assert ranges([0, 1, 2, 3, 5, 7, 8]) == "0 to 3, 5, 7, 8" and ranges([]) == ""
    assert ranges(list(range(0, 60, 2))).endswith("22 and others")
