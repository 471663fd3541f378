"""Designs: which variants they make, what they mix, and that known effects come back out of them.

The recipe of these tests is a frozenset of strings, a factor adds or removes one: what was applied
can be read off.
"""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from pydoe import fracfact_aliasing, fracfact_by_res

from dfkd.stats import aliases, designs
from dfkd.stats.factorial import effects, shapley_values

Recipe = frozenset[str]


def adding(name: str) -> Callable[[Recipe], Recipe]:
    return lambda recipe: recipe | {name}


def removing(name: str) -> Callable[[Recipe], Recipe]:
    return lambda recipe: recipe - {name}


def additions(names: str) -> dict[str, Callable[[Recipe], Recipe]]:
    return {name: adding(name) for name in names}


BARE: Recipe = frozenset()


def outcomes_of(
    variants: dict[str, Recipe], value: Callable[[Recipe], float], blocks: int = 3
) -> pd.DataFrame:
    rows = [
        {
            "variant": name,
            "block": block,
            "state": "finished",
            "value": value(recipe) + 0.02 * block,
        }
        for name, recipe in variants.items()
        for block in range(blocks)
    ]
    return pd.DataFrame(rows)


# ---- one change at a time


def test_leave_one_out() -> None:
    full = frozenset("ab")
    variants = designs.leave_one_out(full, {name: removing(name) for name in "ab"})
    assert list(variants.items()) == [
        ("full", full),
        ("without a", frozenset("b")),
        ("without b", frozenset("a")),
    ]


def test_add_one_in() -> None:
    variants = designs.add_one_in(BARE, additions("ab"))
    assert list(variants.items()) == [
        ("base", BARE),
        ("with a", frozenset("a")),
        ("with b", frozenset("b")),
    ]


def test_one_at_a_time_over_values() -> None:
    variants = designs.one_at_a_time(
        BARE, {"ratio": additions("12"), "rule": {"random": adding("r")}}
    )
    assert list(variants) == ["base", "ratio=1", "ratio=2", "rule=random"]
    assert variants["ratio=2"] == frozenset("2")


def test_build_up() -> None:
    variants = designs.build_up(BARE, additions("cab"))
    assert list(variants) == ["base", "c", "c+a", "c+a+b"]
    assert list(variants.values()) == [
        frozenset(),
        frozenset("c"),
        frozenset("ca"),
        frozenset("cab"),
    ]


def test_a_recipe_may_be_anything_and_factors_apply_in_their_given_order() -> None:
    variants = designs.full_factorial(1.0, {"double": lambda x: 2 * x, "plus one": lambda x: x + 1})
    assert variants == {"base": 1.0, "plus one": 2.0, "double": 2.0, "double+plus one": 3.0}


@pytest.mark.parametrize("names", [[], ["a+b"], ["a:b"], ["a=b"], [""], ["base"]])
def test_names_that_would_make_variants_unclear_are_refused(names: list[str]) -> None:
    with pytest.raises(ValueError, match="distinct names"):
        designs.full_factorial(BARE, {name: adding(name) for name in names})


# ---- factorials


def test_full_factorial_has_every_combination_once() -> None:
    variants = designs.full_factorial(BARE, additions("abc"))
    assert len(variants) == 8 and set(variants.values()) == {
        frozenset(subset) for k in range(4) for subset in itertools.combinations("abc", k)
    }
    assert list(variants)[:4] == ["base", "c", "b", "b+c"]
    assert variants["a+c"] == frozenset("ac")


FRACTIONS = [(3, 3), (4, 4), (5, 3), (5, 4), (5, 5), (6, 3), (6, 4), (7, 3), (7, 4), (8, 4)]


@pytest.mark.parametrize(("k", "resolution"), FRACTIONS)
def test_fraction_keeps_its_promises(k: int, resolution: int) -> None:
    """Main effects are balanced and orthogonal, the resolution is at least this.

    Variants are distinct, and the base is among them.
    """
    names = list("abcdefgh"[:k])
    levels = designs.fractional_levels(names, resolution=resolution)
    matrix_VF = np.array([[of_variant[name] for name in names] for of_variant in levels.values()])
    assert (
        next(iter(levels)) == "base" and len(levels) == len(fracfact_by_res(k, resolution)) < 2**k
    )
    assert np.array_equal(matrix_VF.T @ matrix_VF, len(levels) * np.eye(k))
    found = aliases.resolution_of(levels)
    assert found is not None and found >= resolution


@pytest.mark.parametrize(("k", "resolution"), FRACTIONS)
def test_alias_groups_agree_with_pydoe(k: int, resolution: int) -> None:
    """pydoe lists what is mixed without signs, for its own design: ours is the same up to signs."""
    names = list("abcdefgh"[:k])
    levels = designs.fractional_levels(names, resolution=resolution)
    theirs = set()
    for chain in fracfact_aliasing(fracfact_by_res(k, resolution))[0]:
        short = frozenset(word for word in chain.split(" = ") if len(word) <= 2)
        theirs |= {short} if short else set()
    ours = {
        frozenset("".join(term) for _, term in group)
        for group in aliases.alias_groups(levels, order=2)
    }
    assert ours == theirs


@pytest.mark.parametrize(("k", "resolution"), FRACTIONS)
def test_alias_signs_are_those_of_the_columns(k: int, resolution: int) -> None:
    levels = designs.fractional_levels(list("abcdefgh"[:k]), resolution=resolution)
    for group in aliases.alias_groups(levels, order=3):
        first = np.array(aliases.column(levels, group[0][1]))
        assert all(
            np.array_equal(sign * first, aliases.column(levels, term)) for sign, term in group
        )


@pytest.mark.parametrize("resolution", [2, 5])
def test_impossible_resolution_is_refused(resolution: int) -> None:
    with pytest.raises(ValueError, match="resolution must lie"):
        designs.fractional_factorial(BARE, additions("abcd"), resolution=resolution)


def test_full_factorial_effects_of_a_known_recipe() -> None:
    """a adds .1, b adds .04, both together .06 on top.

    Averaged over b, a is worth .13; the interaction is half of .06.
    """

    def value(recipe: Recipe) -> float:
        return 0.3 + 0.1 * ("a" in recipe) + 0.04 * ("b" in recipe) + 0.06 * ({"a", "b"} <= recipe)

    study = outcomes_of(designs.full_factorial(BARE, additions("abc")), value)
    found = {
        effect.term: effect.effect for effect in effects(study, designs.full_levels(list("abc")))
    }
    expected = {"a": 0.13, "b": 0.07, "c": 0.0, "a:b": 0.03, "a:c": 0.0, "b:c": 0.0}
    assert found == {term: pytest.approx(effect, abs=1e-9) for term, effect in expected.items()}


def test_fraction_reports_mixed_effects_as_one_row_with_their_sign() -> None:
    """Three factors in four variants: c's row holds the effect of c less the interaction a:b."""

    def value(recipe: Recipe) -> float:
        a, b, c = (1 if name in recipe else -1 for name in "abc")
        return 0.5 + 0.05 * a + 0.03 * c + 0.01 * a * b + 0 * b

    levels = designs.fractional_levels(list("abc"), resolution=3)
    study = outcomes_of(designs.fractional_factorial(BARE, additions("abc"), resolution=3), value)
    found = {effect.term: effect for effect in effects(study, levels)}
    assert found["c"].aliases == "c = -a:b"
    assert found["c"].effect == pytest.approx(2 * (0.03 - 0.01))
    assert found["a"].effect == pytest.approx(2 * 0.05)
    assert len(found) == 3


# ---- Shapley


def weighted_shapley(components: str, value: Callable[[Recipe], float], name: str) -> float:
    """Return the value by Shapley's own formula.

    Gains over coalitions S without the component, with weights |S|! (k - |S| - 1)! / k!.
    """
    k, others = len(components), components.replace(name, "")
    total = 0.0
    for size in range(k):
        weight = math.factorial(size) * math.factorial(k - size - 1) / math.factorial(k)
        for subset in itertools.combinations(others, size):
            total += weight * (value(frozenset(subset) | {name}) - value(frozenset(subset)))
    return total


def tangled(recipe: Recipe) -> float:
    """Every coalition its own number in [0, .8], the same in each run."""
    return 0.8 * (hash_of("".join(sorted(recipe))) % 1000) / 1000


def hash_of(text: str) -> int:
    return sum((i + 7) * ord(letter) ** 3 for i, letter in enumerate(text))


@pytest.mark.parametrize("components", ["a", "abc", "abcde"])
def test_exact_shapley_agrees_with_its_formula(components: str) -> None:
    variants = designs.shapley(BARE, additions(components))
    orders = designs.shapley_orders(list(components))
    assert len(variants) == 2 ** len(components) and len(orders) == math.factorial(len(components))
    found = shapley_values(outcomes_of(variants, tangled), list(components), orders)
    for attribution in found:
        assert attribution.value == pytest.approx(
            weighted_shapley(components, tangled, attribution.component)
        )
        assert attribution.sampling_se is None
    assert sum(a.value for a in found) == pytest.approx(
        tangled(frozenset(components)) - tangled(BARE)
    )


def test_sampled_shapley_above_five_components() -> None:
    components = list("abcdefg")
    variants = designs.shapley(BARE, additions("abcdefg"), permutations=10, seed=3)
    orders = designs.shapley_orders(components, permutations=10, seed=3)
    assert len(orders) == 10 and all(order[::-1] in orders for order in orders)
    assert {"base", "a+b+c+d+e+f+g"} <= set(variants) and len(variants) <= 10 * 6 + 2
    assert all(
        variant == frozenset(name.split("+"))
        for name, variant in variants.items()
        if name != "base"
    )
    found = shapley_values(outcomes_of(variants, tangled), components, orders)
    assert sum(a.value for a in found) == pytest.approx(
        tangled(frozenset(components)) - tangled(BARE)
    )
    for attribution in found:  # within four standard errors of the truth, and the error is said
        assert attribution.sampling_se is not None and attribution.sampling_se > 0
        truth = weighted_shapley("abcdefg", tangled, attribution.component)
        assert abs(attribution.value - truth) < 4 * attribution.sampling_se


def test_sampled_shapley_of_an_additive_recipe_has_no_sampling_error() -> None:
    worth = dict(zip("abcdef", (0.05, 0.04, 0.03, 0.02, 0.01, 0.0), strict=True))
    variants = designs.shapley(BARE, additions("abcdef"))
    study = outcomes_of(variants, lambda recipe: 0.3 + sum(worth[name] for name in recipe))
    found = shapley_values(study, list("abcdef"), designs.shapley_orders(list("abcdef")))
    assert {a.component: round(a.value, 9) for a in found} == worth
    assert all(a.sampling_se == pytest.approx(0, abs=1e-12) for a in found)


def test_shapley_orders_are_seeded_and_even() -> None:
    draw = designs.shapley_orders(list("abcdef"), permutations=4, seed=1)
    assert draw == designs.shapley_orders(list("abcdef"), permutations=4, seed=1)
    assert draw != designs.shapley_orders(list("abcdef"), permutations=4, seed=2)
    with pytest.raises(ValueError, match="even"):
        designs.shapley_orders(list("abcdef"), permutations=5)


def test_shapley_and_factorial_share_their_variants() -> None:
    shapley = designs.shapley(BARE, additions("abc"))
    assert shapley == designs.full_factorial(BARE, additions("abc"))
    assert list(shapley) == ["base", "a", "b", "c", "a+b", "a+c", "b+c", "a+b+c"]
