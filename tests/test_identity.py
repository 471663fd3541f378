"""A piece's identity: what changes it, what does not, and what it is for ever."""

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from dfkd.data.images.transforms import VIEWS, Crop, RandAugment
from dfkd.data.pools import (
    POOLS,
    Glyphs,
    ImageFolder,
    MixedPool,
    ParquetPool,
    TorchvisionPool,
    TrainingImages,
    WebDatasetTars,
    WildGarments,
)
from dfkd.data.tasks import (
    TASKS,
    Cifar10,
    Cifar100,
    Digits,
    FashionMnist,
    ImageNetFolder,
    LabelledFolder,
    Unlabelled,
)
from dfkd.experiment import Schedule
from dfkd.identity import digest, flat, is_piece, later, location, name_of, spec
from dfkd.method import dropping, selection
from dfkd.method.labels import OriginalLabels
from dfkd.method.losses import (
    CRD,
    DKD,
    KD,
    KDS,
    LOSSES,
    PKT,
    RKD,
    SP,
    AttentionTransfer,
    FitNet,
    NTXent,
    PooledFeatures,
    ReviewKD,
    Similarity,
    TeacherContrast,
)
from dfkd.models.networks import (
    NETWORKS,
    CifarResNet,
    CifarVGG11,
    SmallResNet,
    Torchvision,
    WideResNet,
)
from dfkd.models.teachers import (
    TEACHERS,
    ModuleTeacher,
    SupervisedTeacher,
    TeacherFile,
    TorchvisionWeights,
)

# Every piece, and its identity for ever. If one of these changes, all cells that hold it are
# orphans: give a new field its default with `values.later`, and raise `version` only where the same
# fields begin to give other numbers.
GOLDEN = [
    (selection.Balanced(ratio=0.1, threshold=0.95), "80397bb46c0bfa37919b"),
    (selection.Confident(ratio=0.1), "6126cc7e01e807076c04"),
    (selection.Random(ratio=0.1), "cdeeadcbecaf768fb31e"),
    (selection.Entropy(ratio=0.1), "836a5bc0df75873e3db7"),
    (selection.Margin(ratio=0.1), "3e5ee1a02b32d3a72101"),
    (
        selection.Prototype(ratio=0.1, confidence=1.0, closeness=1.0, rarity=1.0, clusters=5),
        "f7be7d90b9d41530a999",
    ),
    (selection.Mixture(ratio=0.1), "9e34c249698fe3db980e"),
    (selection.Hardest(ratio=0.1), "3047cbda9ab43d019093"),
    (
        selection.Dynamic(rule=selection.Random(ratio=0.1), every=5, fraction=0.5),
        "fd7537cfd562dfff0d7a",
    ),
    (dropping.Tail(rate=0.3), "594d3efeab4d92dee69b"),
    (dropping.Random(rate=0.3), "02a668e59fb7fcb3a88e"),
    (dropping.Nucleus(mass=0.9), "000ae10d00b45558eca0"),
    (dropping.ByConfidence(rate=0.3), "3861aa28bb2413281c1c"),
    (dropping.WholeClass(rate=0.3, by="confidence"), "0836cfe151eba36aabf7"),
    (dropping.NoiseMatrix(weight=1.0, accuracy=None), "00246daeb7a71b5abfa5"),
    (KD(temperature=4.0), "5037575777dedd25fa80"),
    (PooledFeatures(weight=3.0, ramp=0.0), "476c88d15b96d4d896ae"),
    (Similarity(weight=1.0, tau=0.1, ramp=0.1), "50c84b947b361e72ab76"),
    (DKD(temperature=4.0, alpha=1.0, beta=8.0), "907e9f5888b083225a22"),
    (RKD(weight=1.0, distance=25.0, angle=50.0, ramp=0.1), "3caf4e4c9f64c59a9378"),
    (SP(weight=3000.0, ramp=0.1), "5c9de9943841572e5fa0"),
    (PKT(weight=30000.0, ramp=0.1), "111819c1147ceb9903f7"),
    (
        CRD(weight=0.8, dim=128, negatives=16384, tau=0.07, momentum=0.5, ramp=0.0),
        "81bc7292fad26cbfe15a",
    ),
    (NTXent(weight=1.0, tau=0.5, ramp=0.1), "0f4b791204d6fa39557d"),
    (TeacherContrast(weight=1.0, tau=0.1, ramp=0.1), "69d8017f39ad64bd4243"),
    (FitNet(weight=100.0, stage=2, ramp=0.0), "4a24a83cae82ed9aef15"),
    (AttentionTransfer(weight=1000.0, ramp=0.0), "49c513ab6d2ddee8795d"),
    (ReviewKD(weight=5.0, ramp=0.125), "4a371b9d15283d2ae121"),
    (Crop(padding=4, flip=True), "23cebd7b2a317b90ee2a"),
    (
        RandAugment(operations=2, magnitude=9, padding=4, flip=True, answer="live", per_row=0),
        "46c293008d7b6962be41",
    ),
    (SmallResNet(width=8, stem_stride=2, norm="batch"), "94d765c3a31f36c1bdc1"),
    (CifarResNet(depth=18), "bcb21012b9eb767f4188"),
    (CifarVGG11(), "d2574253f408f7cccecb"),
    (WideResNet(depth=40, width=2), "0292f095fddee49e20d6"),
    (Torchvision(name="resnet50"), "760d4fca5a2894015ba6"),
    (
        SupervisedTeacher(
            network=SmallResNet(width=16, stem_stride=2, norm="batch"),
            steps=400,
            batch=128,
            learning_rate=5e-3,
            weight_decay=1e-2,
            shift=1,
            smoothing=0.0,
        ),
        "21511ac9a76c08caf2c3",
    ),
    (
        TeacherFile(
            path="t.safetensors", network=SmallResNet(width=8, stem_stride=1, norm="batch")
        ),
        "b8122442815d3d587bdc",
    ),
    (
        TorchvisionWeights(network=Torchvision(name="resnet18"), weights="IMAGENET1K_V1"),
        "a0a082d8b7c1e7b67ea8",
    ),
    (
        ModuleTeacher(kind="my_project.Net", content="0123456789abcdef0123", revision=1, stages=()),
        "1609b6763cb42ce4a1af",
    ),
    (Digits(), "ae7a76ac39e8f44d2214"),
    (FashionMnist(content="14410854cf7a289477dc"), "27acef3a148edd9c4ce3"),
    (Cifar10(path="folder"), "500fc7aac3e12c031f46"),
    (Cifar100(path="folder"), "466480e12409b0084e65"),
    (
        LabelledFolder(
            path="folder",
            image_shape=(32, 32, 3),
            shorter_side=0,
            mean=(0.5, 0.5, 0.5),
            std=(0.2, 0.2, 0.2),
            classes=7,
            content="0123456789abcdef0123",
        ),
        "f551a1bded31590dc849",
    ),
    (
        ImageNetFolder(path="folder", image_shape=(224, 224, 3), shorter_side=256),
        "b4b27c43ce705c2af2f9",
    ),
    (
        Unlabelled(classes=10, image_shape=(8, 8, 1), mean=(0.5,), std=(0.2,)),
        "38164adbad7c98efa8f2",
    ),
    (Glyphs(rows=20_000), "02d51494d22fa836043f"),
    (
        WildGarments(rows=60_000, share=0.3, task=FashionMnist(content="14410854cf7a289477dc")),
        "fa4080fde8846d51db8d",
    ),
    (ImageFolder(path="folder", most_pixels=50_000_000), "7bf698e4193f5fff715e"),
    (
        WebDatasetTars(path="folder", most_pixels=50_000_000, unique_names=True),
        "6f1818fb6d099b63f2e5",
    ),
    (
        MixedPool(
            pools=(Glyphs(rows=20_000), ParquetPool(path="folder")),
            shares=(0.75, 0.25),
            rows=20_000,
        ),
        "0757a478ebd06a302149",
    ),
    (
        TorchvisionPool(
            name="SVHN", arguments=(("split", "extra"),), path="folder", most_pixels=50_000_000
        ),
        "5b0f94e4077a7921a2d5",
    ),
    (ParquetPool(path="pool"), "5e6500bedaf77cacc040"),
    (TrainingImages(task=Digits()), "0f3ede25c7362a2f8ddf"),
    (OriginalLabels(), "58dc5ce69008c92bdf5d"),
    (
        Schedule(
            steps=200,
            batch=64,
            learning_rate=5e-3,
            weight_decay=1e-2,
            optimizer="adamw",
            decay="one_cycle",
            evaluations=6,
        ),
        "e18f3e7f22fce51835f4",
    ),
]
PIECES = [piece for piece, _ in GOLDEN]
LISTED = (
    *selection.SELECTIONS,
    *dropping.DROPPINGS,
    *LOSSES,
    *VIEWS,
    *NETWORKS,
    *TEACHERS,
    *TASKS,
    *POOLS,
    *KDS,
    OriginalLabels,
    Schedule,
)
each_piece = pytest.mark.parametrize("piece", PIECES, ids=name_of)


def grown(kind: Any, extra: Any) -> Any:
    """The class as a later version of the code might have it: with one field more."""
    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    return dataclasses.make_dataclass(
        kind.__name__,
        [("extra", "float", extra)],
        bases=(kind,),
        namespace=names,
        frozen=True,
        kw_only=True,
    )


def values_of(piece: Any) -> dict[str, Any]:
    return {field.name: getattr(piece, field.name) for field in dataclasses.fields(piece)}


# ---- what all pieces have in common


@pytest.mark.parametrize(("piece", "expected"), GOLDEN, ids=[name_of(piece) for piece in PIECES])
def test_identities_are_golden(piece, expected):
    assert digest(spec(piece)) == expected


def test_every_listed_piece_has_a_golden_identity():
    assert {type(piece) for piece in PIECES} == set(LISTED)


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
