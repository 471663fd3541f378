"""A piece's identity: what changes it, what does not, and what it is for ever."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from dfkd.data.pools import ParquetPool
from dfkd.experiment import Schedule
from dfkd.experiment.families import FAMILIES
from dfkd.identity import digest, flat, is_piece, later, location, name_of, spec
from dfkd.method import dropping
from dfkd.method.losses import KD, PooledFeatures
from dfkd.models.networks import SmallResNet
from dfkd.models.teachers import TeacherFile
from dfkd.testing.golden import identities, main, update

FILE = Path(__file__).parent / "golden" / "identities.json"
KINDS = {kind: None for kinds in (*FAMILIES.values(), (Schedule,)) for kind in kinds}
PIECES = [kind.example() for kind in KINDS]
each_piece = pytest.mark.parametrize("piece", PIECES, ids=name_of)


def grown(kind: Any, extra: Any) -> Any:
    """The class as a later version of the code might have it: with one field more."""
    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    made = dataclasses.make_dataclass(
        kind.__name__,
        [("extra", "float", extra)],
        bases=(kind,),
        namespace=names,
        frozen=True,
        kw_only=True,
    )
    made.__module__ = kind.__module__  # Python 3.12 and later set it themselves
    return made


def values_of(piece: Any) -> dict[str, Any]:
    return {field.name: getattr(piece, field.name) for field in dataclasses.fields(piece)}


# ---- what all pieces have in common


def test_identities_are_golden():
    """If one of these changes, all cells that hold the piece are orphans (`make golden`)."""
    assert identities() == json.loads(FILE.read_text())


def test_a_changed_identity_is_not_written_unless_it_is_named(tmp_path, capsys, monkeypatch):
    file = tmp_path / "identities.json"
    assert main(["--file", str(file)]) == 0
    assert file.read_text() == FILE.read_text()
    monkeypatch.setattr(KD, "version", 2)
    monkeypatch.setattr(SmallResNet, "version", 2)
    assert main(["--file", str(file), "--accept", "kd.kd"]) == 2
    said = capsys.readouterr().err
    assert "network.small_res_net" in said and "teacher.teacher_file" in said
    assert "kd.kd" not in said and said.count("\n") == 1
    assert file.read_text() == FILE.read_text()
    names = [name for name in identities() if name == "kd.kd" or name in said]
    assert main(["--file", str(file), "--accept", *names]) == 0
    assert json.loads(file.read_text()) == identities()


def test_a_piece_that_is_gone_is_not_forgotten_and_a_new_one_is_added(tmp_path):
    file = tmp_path / "identities.json"
    assert update(file, {"kd.old": "1", "kd.kd": "2"}) == ["kd.old", "kd.kd"]
    with pytest.raises(ValueError, match=r"kd\.old: no longer the recorded identity"):
        update(file, {"kd.kd": "2", "kd.new": "3"})
    assert update(file, {"kd.kd": "2", "kd.new": "3"}, ["kd.old"]) == ["kd.new"]


@each_piece
def test_a_piece_is_a_frozen_keyword_only_value_with_a_card_and_a_version(piece):
    assert is_piece(piece)
    assert type(piece).__dataclass_params__.frozen
    assert all(field.kw_only for field in dataclasses.fields(piece))
    assert type(piece).__doc__ and not type(piece).__doc__.startswith(f"{type(piece).__name__}(")
    assert isinstance(type(piece).version, int)
    assert hash(piece) == hash(type(piece)(**values_of(piece)))


@each_piece
def test_a_version_raised_is_another_identity(piece, monkeypatch):
    before = digest(spec(piece))
    monkeypatch.setattr(type(piece), "version", type(piece).version + 1)
    assert digest(spec(piece)) != before


@each_piece
def test_a_field_added_later_leaves_finished_cells_alone_at_its_default_only(piece):
    kind = grown(type(piece), later(0.5))
    assert spec(kind(**values_of(piece))) == spec(piece)
    assert spec(kind(**values_of(piece), extra=0.5)) == spec(piece)
    assert spec(kind(**values_of(piece), extra=0.6)) != spec(piece)


@each_piece
def test_a_field_added_without_later_would_orphan_them(piece):
    assert spec(grown(type(piece), 0.5)(**values_of(piece))) != spec(piece)


@each_piece
def test_every_field_but_locations_and_limits_is_part_of_the_identity(piece):
    for field in dataclasses.fields(piece):
        other = object.__new__(type(piece))
        for name, value in values_of(piece).items():
            object.__setattr__(other, name, "another" if name == field.name else value)
        assert (spec(other) == spec(piece)) == bool(field.metadata.keys() & {"location", "limit"})


@pytest.mark.parametrize("kind", [TeacherFile, ParquetPool])
def test_paths_of_teachers_and_pools_are_locations(kind):
    assert [field.name for field in dataclasses.fields(kind) if field.metadata.get("location")] == [
        "path"
    ]


# ---- single rules


def test_a_default_may_change_later_without_orphans():
    @dataclass(frozen=True, kw_only=True)
    class Piece:
        added: float = dataclasses.field(default=0.9, metadata={"left_out_at": 0.5})

    assert "added" not in spec(Piece(added=0.5))
    assert spec(Piece())["added"] == 0.9


def test_whole_numbers_and_floats_are_one_value_where_a_float_is_meant():
    assert spec(PooledFeatures(weight=1)) == spec(PooledFeatures(weight=1.0))
    assert digest(spec(PooledFeatures(weight=1))) == digest(spec(PooledFeatures(weight=1.0)))
    assert repr(flat(PooledFeatures(weight=1), "explicit")) == repr(
        flat(PooledFeatures(weight=1.0), "explicit")
    )


def test_names():
    assert name_of(KD()) == "kd"
    assert name_of(PooledFeatures(weight=1.0)) == "pooled_features"
    assert name_of(SmallResNet(width=8)) == "small_res_net"


@dataclass(frozen=True, kw_only=True)
class Tail:
    """A user's own piece, named like one of ours."""

    rate: float
    tuple_of: tuple[int, ...] = (1, 2)
    inner: KD | None = None
    version: ClassVar[int] = 1


def test_a_users_piece_keeps_its_module_in_the_name():
    assert name_of(Tail(rate=0.3)) == f"{__name__}.Tail"
    assert spec(Tail(rate=0.3))["piece"] != spec(dropping.Tail(rate=0.3))["piece"]


def test_fields_may_hold_tuples_none_and_pieces():
    assert spec(Tail(rate=1, inner=KD(temperature=2))) == {
        "piece": f"{__name__}.Tail",
        "version": 1,
        "rate": 1.0,
        "tuple_of": [1, 2],
        "inner": {"piece": "kd", "version": 1, "temperature": 2.0},
    }


@pytest.mark.parametrize("value", [[1], {"a": 1}, KD, object()])
def test_other_fields_are_refused(value):
    with pytest.raises(TypeError, match="tuple_of must hold a scalar, None, a tuple or a piece"):
        spec(Tail(rate=0.3, tuple_of=value))


@pytest.mark.parametrize("value", [KD, None, 3, "balanced", object()])
def test_what_is_no_piece_has_no_identity(value):
    with pytest.raises(TypeError, match="must be an instance of a frozen dataclass"):
        spec(value)


def test_flat_parameters_for_people():
    assert flat(Tail(rate=1, inner=KD(temperature=2)), "dropping") == {
        "dropping": f"{__name__}.Tail",
        "dropping.rate": 1.0,
        "dropping.tuple_of": "(1, 2)",
        "dropping.inner": "kd",
        "dropping.inner.temperature": 2.0,
    }
    assert flat(Tail(rate=0.5), "dropping")["dropping.inner"] == "none"
    assert flat(None, "views") == {"views": "none"}


def test_a_location_is_shown_to_people():
    assert flat(ParquetPool(path="somewhere"), "pool")["pool.path"] == "somewhere"
    assert location().metadata == {"location": True}


def test_digests_do_not_depend_on_the_order_of_names():
    assert digest({"a": 1, "b": [2.0, None]}) == digest({"b": [2.0, None], "a": 1})
    assert len(digest(1)) == 20 and len(digest(1, 64)) == 64
    with pytest.raises(ValueError, match="JSON compliant"):
        digest(float("nan"))
