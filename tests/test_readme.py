"""The tables of pieces in README and docs: made from their cards, and current."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("tables", ROOT / "docs" / "tables.py")
assert spec is not None and spec.loader is not None
tables = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tables)


class Card:
    """Takes what is below <limit>, or `a<b`.

    Formula: x | y.
    Source: published, Someone et al. (ICML 2020), their code; there with labels. Ours: none.
    Range: nothing.
    """


class Reading:
    """Keeps all.

    Source: our reading of the abstract. What follows is a detail.
    """


class Bare:
    pass


@pytest.mark.parametrize("name", tables.PAGES)
def test_the_table_of_pieces_is_current(name: str):
    """If not: `make docs`."""
    page = (ROOT / name).read_text(encoding="utf-8")
    assert tables.updated(page, tables.PAGES[name]) == page


def test_a_card_is_told_by_its_first_sentence_and_its_source():
    assert tables.summary(Card) == (
        "Takes what is below \\<limit>, or `a<b`.",
        "Someone et al. (ICML 2020), their code",
    )
    assert tables.summary(Reading) == ("Keeps all.", "our reading of the abstract")
    with pytest.raises(ValueError, match="Bare has no card"):
        tables.summary(Bare)


def test_a_page_without_marks_is_refused():
    with pytest.raises(ValueError, match="no marks"):
        tables.updated("# A page", tables.pieces)
