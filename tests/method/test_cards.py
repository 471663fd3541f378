"""The cards of the method's pieces: what each does, its formula, its source and its range."""

import re
from dataclasses import fields

import pytest

from dfkd.method.dropping import DROPPINGS
from dfkd.method.finishing import FINISHINGS
from dfkd.method.losses import KDS, LOSSES, Both
from dfkd.method.sampling import SAMPLINGS
from dfkd.method.selection import SELECTIONS

EXPLAINED = {"ratio", "rows", "weight", "ramp"}  # what all of a kind have, by the family's base
SOURCES = ("published, ", "our reading of ", "ours", "baseline, ")


@pytest.mark.parametrize(
    "kind",
    [*SELECTIONS, *SAMPLINGS, *FINISHINGS, *DROPPINGS, *KDS, *LOSSES, Both],
    ids=lambda kind: kind.__name__,
)
def test_a_card_has_formula_source_and_range(kind):
    first, *lines = [line.strip() for line in kind.__doc__.strip().splitlines()]
    assert first.endswith(".") and not lines[0]
    labels = [found[1] for line in lines if (found := re.match(r"([A-Z][a-z]+): ", line))]
    assert labels[:3] == ["Formula", "Source", "Range"]
    [source] = [line for line in lines if line.startswith("Source: ")]
    assert source.removeprefix("Source: ").startswith(SOURCES), f"begin with one of {SOURCES}"
    card = " ".join(lines)
    for field in fields(kind):
        assert field.name in EXPLAINED or re.search(rf"\b{field.name}\b", card), field.name
