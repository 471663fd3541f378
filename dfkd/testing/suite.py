"""What every piece promises, of whatever kind: its configuration is its identity."""

import dataclasses
import pickle
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from dfkd.identity import is_piece, name_of, spec


class PieceSuite:
    """Runs its tests on each of `pieces`, instances of one kind.

    The suites of each kind (`LossSuite`, `SelectionSuite`, ...) inherit it. A piece that needs
    files is given by a fixture `piece` of the class instead, which may have parameters.
    """

    pieces: ClassVar[Sequence[Any]] = ()

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Called by pytest for each test of the class."""
        if self.pieces and "piece" in metafunc.fixturenames:
            metafunc.parametrize("piece", self.pieces, ids=name_of)

    def test_it_is_a_frozen_value_with_a_card_and_a_version(self, piece: Any) -> None:
        kind = type(piece)
        assert is_piece(piece)
        assert kind.__dataclass_params__.frozen
        assert all(field.kw_only for field in dataclasses.fields(piece))
        assert kind.__doc__ and not kind.__doc__.startswith(f"{kind.__name__}(")
        assert type(kind.version) is int
        assert hash(piece) == hash(dataclasses.replace(piece))

    def test_it_travels_to_other_processes(self, piece: Any) -> None:
        assert pickle.loads(pickle.dumps(piece)) == piece

    def test_every_field_but_locations_and_limits_is_part_of_the_identity(self, piece: Any) -> None:
        fields = dataclasses.fields(piece)
        for changed in fields:
            other = object.__new__(type(piece))
            for field in fields:
                value = "another" if field is changed else getattr(piece, field.name)
                object.__setattr__(other, field.name, value)
            left_out = bool(changed.metadata.keys() & {"location", "limit"})
            assert (spec(other) == spec(piece)) == left_out, changed.name

    def test_a_version_raised_is_another_identity(
        self, piece: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = spec(piece)
        monkeypatch.setattr(type(piece), "version", type(piece).version + 1)
        assert spec(piece) != before
