"""The page of an inspection is whole, the same for the same input, and readable at any size."""

import csv
import io
import re
from dataclasses import replace

import pytest
from balanced_tags import BalancedTags
from inspections import inspected

from dfkd.experiment import Experiment
from dfkd.inspection import page as fitness_page
from dfkd.inspection.fitness import ClassFit, Fitness
from dfkd.training.distill import Inputs
from dfkd.training.inputs import InputSource


@pytest.fixture(scope="module")
def page(fitness: Fitness) -> str:
    return fitness_page.html(fitness)


def test_the_page_needs_nothing_from_elsewhere_and_its_tags_are_closed(page: str) -> None:
    assert page.count("<script>") == page.count("<script") == 1  # our own, in the page itself
    assert not re.search(r"<(iframe|object)|@import|fetch\(|src=\"(?!data:)|url\((?!#)", page)
    assert all(link.startswith(("#", "data:")) for link in re.findall(r'href="([^"]*)"', page))
    BalancedTags().feed(page)
    assert page.count("<svg") == 3 and len(page) < 3_000_000
    for heading in (
        "What to do",
        "Classes",
        "What each rule would take",
        "What is taken and what is left",
        "Copies and near-duplicates",
        "Evaluation of the selection",
        "Provenance",
    ):
        assert f"<h2>{heading}</h2>" in page


def test_the_same_inputs_give_the_same_bytes(
    tiny: Experiment, source: InputSource, inputs: Inputs, fitness: Fitness
) -> None:
    assert fitness_page.written(inspected(tiny, source, inputs)) == fitness_page.written(fitness)


def test_a_thousand_classes_stay_readable(fitness: Fitness) -> None:
    classes = tuple(
        ClassFit(label=k, rows=k, confident=k // 2, mean_confidence=0.5, taken=k // 4)
        for k in range(1000)
    )
    numbers = tuple(range(1000))
    choices = tuple(
        replace(c, counts=numbers, inside_K=numbers, right_K=numbers) for c in fitness.choices
    )
    found = replace(fitness, classes=classes, choices=choices)
    text = fitness_page.html(found)
    assert "The 40 of 1000 classes with the least" in text and len(text) < 3_000_000
    assert len(fitness_page.written(found)["classes.csv"].splitlines()) == 1001


def test_csv_holds_every_class_and_choice(fitness: Fitness) -> None:
    rows = list(csv.DictReader(io.StringIO(fitness_page.written(fitness)["classes.csv"])))
    assert [int(row["rows"]) for row in rows] == [c.rows for c in fitness.classes]
    assert [int(row["balanced@0.3"]) for row in rows] == list(fitness.own.counts)
