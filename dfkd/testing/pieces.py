"""What pieces of all kinds promise: frozen values with a card, a version and an identity."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import pytest

from dfkd.identity import digest, flat, is_piece, name_of, spec


class PieceSuite:
    """The tests of any piece, to be inherited by a test class that says which piece it is.

    A suite for one kind of piece inherits this one. A piece that needs files or parameters is given
    by overriding the fixture `piece`.
    """

    given: Any = None  # the piece, unless the fixture `piece` is overridden

    @pytest.fixture
    def piece(self) -> Any:
        """Return the piece under test."""
        assert self.given is not None, f"{type(self).__name__} must say which piece it tests"
        return self.given

    def test_it_is_a_frozen_value_with_a_card_and_a_version(self, piece: Any) -> None:
        kind = type(piece)
        assert is_piece(piece), "a piece is an instance of a dataclass"
        assert kind.__dataclass_params__.frozen, "a piece is frozen, so that nobody changes it"
        assert isinstance(kind.version, int), "version: ClassVar[int], raised when numbers change"
        made_up = f"{kind.__name__}("  # what `dataclass` writes where there is no docstring
        assert kind.__doc__ and not kind.__doc__.startswith(made_up), "its docstring is its card"

    def test_equal_fields_make_an_equal_value(self, piece: Any) -> None:
        fields = [field for field in dataclasses.fields(piece) if field.init]
        again = type(piece)(**{field.name: getattr(piece, field.name) for field in fields})
        assert again == piece and hash(again) == hash(piece)

    def test_it_has_an_identity_and_parameters_for_people(self, piece: Any) -> None:
        assert digest(spec(piece)) == digest(spec(piece))
        assert flat(piece, "part")["part"] == name_of(piece)

    def test_it_travels_to_other_processes(self, piece: Any) -> None:
        assert pickle.loads(pickle.dumps(piece)) == piece
