"""Designs: which variants of a recipe a study compares.

A factor is a named function from a recipe to a changed recipe. A design is a function (base recipe,
factors) -> ordered dict of name -> recipe: the variants. What a recipe is does not matter here.
Which question a design answers does:

- `leave_one_out`, `add_one_in`, `one_at_a_time`: the effect of one change at the full, at the bare,
  at the given recipe.
- `full_factorial`, `fractional_factorial`: effects averaged over the other factors, and
  interactions (`factorial.effects`); `aliases` says which of them a fraction mixes.
- `shapley`: each component's share of what all together gain (`factorial.shapley_values`).

In the last three a variant is a coalition: the factors in it are applied, in the order in which the
factors are given, whatever the order of the coalition. Its name says which ("dropping+explicit",
BASE for none), so that designs share variants and cells.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias, TypeVar

import numpy as np

T = TypeVar("T")
Factors: TypeAlias = Mapping[str, Callable[[T], T]]
# variant -> factor -> -1 (not applied) or +1 (applied)
Levels: TypeAlias = dict[str, dict[str, int]]

BASE, FULL = "base", "full"
EXACT_SHAPLEY = 5  # components: 32 variants; one more doubles them


def leave_one_out(full: T, removals: Factors[T]) -> dict[str, T]:
    """Return the full recipe and, for each factor, the recipe without it.

    Favours the full recipe where the rest is not tuned again.
    """
    _check_names(removals)
    return {FULL: full} | {f"without {name}": remove(full) for name, remove in removals.items()}


def add_one_in(base: T, additions: Factors[T]) -> dict[str, T]:
    """Return the bare recipe and, for each factor, the recipe with only it."""
    _check_names(additions)
    return {BASE: base} | {f"with {name}": add(base) for name, add in additions.items()}


def one_at_a_time(base: T, values: Mapping[str, Factors[T]]) -> dict[str, T]:
    """Return the base and, for each factor, one variant a value.

    {"ratio": {"0.1": set_to_a_tenth, ...}} gives "ratio=0.1". Leave out the value that the base
    already has: two equal variants are an error of the study.
    """
    _check_names(values)
    variants = {
        f"{name}={value}": change
        for name, changes in values.items()
        for value, change in changes.items()
    }
    return {BASE: base} | {name: change(base) for name, change in variants.items()}


def build_up(base: T, additions: Factors[T]) -> dict[str, T]:
    """Return the base, then one factor after the other on top.

    Each step's effect depends on the order in which the factors are given.
    """
    names = list(additions)
    return apply_coalitions(base, additions, [names[:k] for k in range(len(names) + 1)])


def full_factorial(base: T, factors: Factors[T]) -> dict[str, T]:
    """Return every combination of the factors: 2**k variants."""
    return apply_coalitions(base, factors, coalitions_of(full_levels(list(factors))))


def fractional_factorial(base: T, factors: Factors[T], *, resolution: int) -> dict[str, T]:
    """Return the smallest regular fraction of the full factorial with at least this resolution.

    See `fractional_levels` for what a resolution tells apart.
    """
    return apply_coalitions(
        base, factors, coalitions_of(fractional_levels(list(factors), resolution=resolution))
    )


def shapley(
    base: T, components: Factors[T], *, permutations: int | None = None, seed: int = 0
) -> dict[str, T]:
    """Return the coalitions of components that Shapley values need; see `shapley_orders`."""
    orders = shapley_orders(list(components), permutations=permutations, seed=seed)
    by_size = [list(order[:k]) for k in range(len(components) + 1) for order in orders]
    return apply_coalitions(base, components, by_size)


def full_levels(factors: Sequence[str]) -> Levels:
    """Return the levels of all 2**k variants, the base first, the last factor changing fastest."""
    _check_names(factors)
    return _levels(factors, itertools.product((-1, 1), repeat=len(factors)))


def fractional_levels(factors: Sequence[str], *, resolution: int) -> Levels:
    """Return the levels of a regular 2**(k-p) fraction with at least this resolution.

    The generators are pydoe's. Resolution III (3): main effects are mixed with interactions of two
    factors. IV: with those of three, and interactions of two with each other. V: main effects and
    interactions of two are clear of each other. Signs are turned so that the base is among the
    variants: a study needs it. Raises ValueError for a resolution outside 3..k, the full factorial
    being k + 1.
    """
    _check_names(factors)
    if not 3 <= resolution <= len(factors):
        raise ValueError(
            f"resolution must lie between 3 and the number of factors, but got {resolution=}, "
            f"{factors=}"
        )
    try:
        from pydoe import fracfact_by_res  # few need it, and it imports a lot
    except ImportError as error:
        raise ValueError(
            f"a fractional design needs pydoe ({error}): pip install 'dfkd-platform[designs]'"
        ) from error
    runs = np.asarray(fracfact_by_res(len(factors), resolution), dtype=int)
    runs = runs * -runs[0]
    return _levels(factors, (tuple(map(int, run)) for run in runs))


def shapley_orders(
    components: Sequence[str], *, permutations: int | None = None, seed: int = 0
) -> list[tuple[str, ...]]:
    """Return the orders in which components join, over which their marginal gains are averaged.

    Up to EXACT_SHAPLEY components all k! orders, which use all 2**k coalitions; above,
    `permutations` of them (even; default 2k), each with its reverse, which cancels part of the
    sampling error (Mitchell et al. 2022). They need at most permutations * (k - 1) + 2 variants.
    The same seed gives the same orders, so the analysis can ask again. Raises ValueError for an odd
    number of permutations.
    """
    _check_names(components)
    if len(components) <= EXACT_SHAPLEY and permutations is None:
        return list(itertools.permutations(components))
    wanted = 2 * len(components) if permutations is None else permutations
    if wanted < 2 or wanted % 2:
        raise ValueError(f"permutations must be an even number from 2 on, but got {permutations=}")
    rng = np.random.default_rng(seed)
    drawn = [
        tuple(components[i] for i in rng.permutation(len(components))) for _ in range(wanted // 2)
    ]
    return [order for one in drawn for order in (one, one[::-1])]


def coalition_name(factors: Sequence[str], active: Iterable[str]) -> str:
    """Return the name of the variant in which these factors are applied.

    Names are joined by "+" in the factors' own order; BASE where none is applied.
    """
    chosen = set(active)
    return "+".join(name for name in factors if name in chosen) or BASE


def coalitions_of(levels: Levels) -> list[list[str]]:
    """Return for each variant the factors that are applied in it."""
    return [
        [name for name, level in of_variant.items() if level > 0] for of_variant in levels.values()
    ]


def apply_coalitions(
    base: T, factors: Factors[T], coalitions: Iterable[Iterable[str]]
) -> dict[str, T]:
    """Return one variant for each different coalition.

    Factors are applied to the base in the order of `factors`, whatever that of the coalition.
    """
    names = list(factors)
    _check_names(names)
    variants: dict[str, T] = {}
    for coalition in coalitions:
        active = set(coalition)
        value = base
        for name in names:
            value = factors[name](value) if name in active else value
        variants.setdefault(coalition_name(names, active), value)
    return variants


def _levels(factors: Sequence[str], runs: Iterable[tuple[int, ...]]) -> Levels:
    of_runs = [dict(zip(factors, run, strict=True)) for run in runs]
    return {
        coalition_name(factors, [name for name, level in run.items() if level > 0]): run
        for run in of_runs
    }


def _check_names(names: Iterable[str]) -> None:
    """Refuse names that would not stay distinct and readable as parts of variants' names."""
    listed = list(names)
    bad = [name for name in listed if not name or name == BASE or set(name) & set("+:=")]
    if not listed or bad or len(set(listed)) != len(listed):
        raise ValueError(
            f"factors need distinct names without '+', ':', '=', none of them {BASE!r}, but got "
            f"{listed=}"
        )
