"""A user's own piece that cannot work is refused in one line that says what to write."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
from torch import nn

from dfkd import recipes
from dfkd.identity import own_pieces
from dfkd.method.losses import Both, Similarity, Sizes
from dfkd.models.networks import SmallResNet
from dfkd.models.teachers import SupervisedTeacher

FULL = recipes.digits()


@dataclass(frozen=True, kw_only=True)
class Whole:
    weight: float = 1.0
    ramp: float = 0.0
    version: ClassVar[int] = 1

    def module(self, sizes: Sizes) -> nn.Module:
        return nn.Identity()


@dataclass(frozen=True, kw_only=True)
class WithoutRamp:
    weight: float = 1.0
    version: ClassVar[int] = 1

    def module(self, sizes: Sizes) -> nn.Module:
        return nn.Identity()


@dataclass(frozen=True, kw_only=True)
class WithoutModule:
    weight: float = 1.0
    ramp: float = 0.0
    version: ClassVar[int] = 1


@dataclass(frozen=True, kw_only=True)
class WithoutVersion:
    weight: float = 1.0
    ramp: float = 0.0

    def module(self, sizes: Sizes) -> nn.Module:
        return nn.Identity()


@dataclass(frozen=True, kw_only=True)
class VersionInWords(WithoutVersion):
    version: ClassVar[str] = "first"


@dataclass(kw_only=True)
class Changeable:
    weight: float = 1.0
    ramp: float = 0.0
    version: ClassVar[int] = 1

    def module(self, sizes: Sizes) -> nn.Module:
        return nn.Identity()


@dataclass(frozen=True, kw_only=True)
class WithSetting(Whole):
    setting: Any = None


class NoDataclass:
    weight, ramp, version = 1.0, 0.0, 1

    def module(self, sizes: Sizes) -> nn.Module:
        return nn.Identity()


@dataclass(frozen=True, kw_only=True)
class NoNetwork:
    version: ClassVar[int] = 1


@dataclass(frozen=True, kw_only=True)
class NoAnswer:
    version: ClassVar[int] = 1


@pytest.mark.parametrize(
    ("part", "missing", "remedy"),
    [
        (WithoutRamp(), "has no `ramp`", "write `ramp: float` in the class"),
        (WithoutModule(), "has no `module`", "`def module(self, sizes: Sizes) -> nn.Module`"),
        (WithoutVersion(), "has no integer `version`", "write `version: ClassVar[int] = 1`"),
        (VersionInWords(), "has no integer `version`", "write `version: ClassVar[int] = 1`"),
        (Changeable(), "is no frozen dataclass", "write `@dataclass(frozen=True, kw_only=True)`"),
        (WithSetting(setting=[1]), "cannot be told apart", "setting must hold a scalar"),
        (WithSetting(setting=len), "cannot be told apart", "a tuple of such or another piece"),
        (WithSetting(setting={1}), "cannot be told apart", "setting must hold a scalar"),
        (WithSetting(setting=float("nan")), "cannot be told apart", "hold a finite number"),
        (NoDataclass(), "is no frozen dataclass", "write `@dataclass(frozen=True, kw_only=True)`"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_what_is_missing_and_what_to_write_stand_in_one_line(part, missing, remedy):
    with pytest.raises(ValueError) as refused:
        replace(FULL, explicit=part)
    line = str(refused.value)
    assert line.startswith(f"{__name__}.{type(part).__name__} {missing}")
    assert remedy in line and "\n" not in line


def test_the_class_in_the_place_of_an_instance_is_refused():
    with pytest.raises(ValueError, match=r"explicit must be an instance: write Whole\(\.\.\.\)"):
        replace(FULL, explicit=Whole)


def test_a_piece_inside_another_is_checked_as_well():
    teacher = SupervisedTeacher(network=NoNetwork(), steps=1, batch=2)
    with pytest.raises(ValueError, match=r"NoNetwork has no `build`: write `def build\(self"):
        replace(FULL, teacher=teacher)
    with pytest.raises(ValueError, match="WithoutRamp has no `ramp`"):
        replace(FULL, explicit=Both(first=Similarity(weight=1.0), second=WithoutRamp()))


@dataclass(frozen=True, kw_only=True)
class BareNetwork:
    version: ClassVar[int] = 1

    def build(self, classes: int, channels: int) -> nn.Module:
        return nn.Linear(1, classes)


def test_where_defaults_are_inherited_the_base_class_is_named():
    with pytest.raises(ValueError, match=r"BareNetwork has no `stages`: inherit BaseNetwork of"):
        replace(FULL, student=BareNetwork())


def test_a_loss_on_the_answer_has_to_be_callable():
    with pytest.raises(ValueError, match=r"NoAnswer has no `__call__`: write `def __call__\(self"):
        replace(FULL, kd=NoAnswer())


def test_a_whole_one_is_taken_and_found():
    assert list(own_pieces(FULL)) == []
    both = Both(first=Similarity(weight=1.0), second=Whole())
    mine = replace(FULL, explicit=both, student=SmallResNet(width=8))
    assert list(own_pieces(mine)) == [("second", Whole())]
