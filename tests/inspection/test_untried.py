"""What an inspection names that helped elsewhere: only what the recipe lacks and could have."""

import re
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
from inspections import plain
from torch import nn

from dfkd.data.images.mixing import CutMix
from dfkd.data.images.transforms import Crop
from dfkd.experiment import Experiment, recipes
from dfkd.experiment.rebuild import changed
from dfkd.inspection.advice import advice
from dfkd.inspection.fitness import Fitness
from dfkd.inspection.untried import MAPS, MIXTURES, untried
from dfkd.method.losses import AttentionTransfer, FitNet
from dfkd.models.networks import BaseNetwork, CifarResNet, Network, SmallResNet
from dfkd.training.inputs import InputSource


@dataclass(frozen=True, kw_only=True)
class Flat(BaseNetwork):
    """A network that names no stages."""

    version: ClassVar[int] = 1

    def build(self, classes: int, channels: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(256 * channels, classes))


@dataclass(frozen=True, kw_only=True)
class OneStage(SmallResNet):
    """A network whose maps begin where FitNet's stage is no longer."""

    stages: ClassVar[tuple[str, ...]] = ("5",)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (MAPS, MIXTURES)),
        ({"explicit": None}, (MAPS, MIXTURES)),
        ({"explicit": FitNet()}, (MIXTURES,)),
        ({"implicit": AttentionTransfer()}, (MIXTURES,)),
        ({"views": Crop(padding=1)}, (MAPS,)),
        ({"explicit": FitNet(), "views": CutMix()}, ()),
        ({"student": Flat()}, ()),
        ({"student": OneStage(width=8, stem_stride=2)}, ()),
        ({"student": CifarResNet(depth=18)}, (MAPS, MIXTURES)),
    ],
)
def test_what_is_named_is_lacking_and_possible(
    changes: dict, expected: tuple[str, ...], tiny: Experiment, source: InputSource
) -> None:
    assert untried(replace(tiny, **changes), source.teacher) == expected


@pytest.mark.parametrize("network", [Flat(), OneStage(width=8, stem_stride=2)])
def test_a_teacher_without_the_stage_gives_no_maps(
    network: Network, tiny: Experiment, source: InputSource
) -> None:
    """Nothing is said of mixtures either: without the maps they were not measured."""
    assert untried(tiny, replace(source.teacher, network=network)) == ()


def test_a_student_on_labels_is_told_nothing(tiny: Experiment, source: InputSource) -> None:
    assert untried(recipes.labels(tiny), source.teacher) == ()


def test_what_is_typed_as_advised_is_advised_no_more(
    tiny: Experiment, source: InputSource, fitness: Fitness
) -> None:
    named = advice(fitness)[-2:]
    assert named == advice(plain(untried=(MAPS, MIXTURES))) and len(named) == 2
    typed = " ".join(found for line in named for found in re.findall(r"--set ([^;]+);", line))
    followed = changed(tiny, dict(option.split("=") for option in typed.split()))
    assert (followed.explicit, followed.views) == (FitNet(), CutMix())
    assert untried(followed, source.teacher) == ()
