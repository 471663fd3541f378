"""What --set and --steps change in all variants of a study, and what a variant keeps."""

from dataclasses import replace

import pytest

from ablations.components import study as components
from ablations.drop_rate import study as rates
from dfkd.experiment.recipes import digits
from dfkd.experiment.settings import Settings, suffix, values_of
from dfkd.method.losses import FitNet
from dfkd.method.selection import Random

BASE = digits()


def settings(**values: str) -> Settings:
    return Settings(values={n.replace("__", "."): v for n, v in values.items()}, base=BASE)


def test_every_variant_follows_and_keeps_what_it_changes_itself() -> None:
    changed = components.changed(settings(schedule__steps="77", dropping__rate="0.5"))
    for name, e in changed.variants.items():
        assert e.schedule.steps == 77
        before = components.variants[name]
        assert (e.dropping is None) == (before.dropping is None)
        if before.dropping == BASE.dropping:
            assert e.dropping is not None and e.params()["dropping.rate"] == 0.5
    assert isinstance(changed.variants["without selection"].selection, Random)
    assert changed.baseline == components.baseline and changed.blocks == components.blocks


def test_a_study_of_a_parameter_keeps_its_values() -> None:
    base = rates.variants[rates.baseline]
    changed = rates.changed(Settings(values={"schedule.steps": "50"}, base=base))
    for name, e in changed.variants.items():
        expected = replace(rates.variants[name], schedule=replace(base.schedule, steps=50))
        assert e.fingerprint() == expected.fingerprint()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"explicit": "fit_net", "explicit.stage": "2"}, FitNet(stage=2, weight=3.0)),
        ({"explicit": "none"}, None),
        ({"explicit.weight": "1.5"}, replace(BASE.explicit, weight=1.5)),
    ],
)
def test_pieces_and_their_fields(values: dict[str, str], expected: object) -> None:
    set_here = Settings(values=values, base=BASE)
    assert set_here(BASE).explicit == expected
    without = replace(BASE, explicit=None)
    assert set_here(without) == without  # it is what this variant changes


def test_names_tell_values_apart() -> None:
    one, other = settings(schedule__steps="77"), settings(schedule__steps="78")
    assert suffix(one.values) == "schedule.steps=77" != suffix(other.values)
    long = settings(schedule__steps="77", dropping__rate="0.5", explicit__weight="1", kd="dkd")
    assert len(suffix(long.values)) <= 60 and suffix(long.values) == suffix(dict(long.values))
    odd = Settings(values={"pool.path": "/a/b c"}, base=BASE)
    assert suffix(odd.values).isalnum() and len(suffix(odd.values)) == 8


def test_what_is_set_is_said() -> None:
    assert settings(schedule__steps="77").lines() == ["schedule.steps: 77 instead of 200"]
    with pytest.raises(ValueError, match=r"no parameter 'schedule.stepz': did you mean"):
        settings(schedule__stepz="77").lines()
    assert values_of({"a": "1"}, 5) == {"a": "1", "schedule.steps": "5"}
    with pytest.raises(ValueError, match="name the steps once"):
        values_of({"schedule.steps": "4"}, 5)
