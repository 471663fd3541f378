"""Aliases: which effects the variants of a fractional design cannot tell apart."""

import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from dfkd.stats.designs import Levels


def resolution_of(levels: Levels) -> int | None:
    """Return the number of factors in the shortest product that is constant over the variants.

    None for a full factorial, which has no such product.
    """
    factors = _factors(levels)
    for length in range(1, len(factors) + 1):
        if any(
            len(set(column(levels, term))) == 1 for term in itertools.combinations(factors, length)
        ):
            return length
    return None


def alias_groups(levels: Levels, *, order: int = 2) -> list[list[tuple[int, tuple[str, ...]]]]:
    """Group the effects up to this order that the variants cannot tell apart.

    Signs are relative to the first term of a group. A group of one is clear of all others up to
    this order. Terms that are constant over the variants are mixed with the mean and in no group.
    Groups and terms are ordered by length, then as the factors are.
    """
    factors = _factors(levels)
    groups: dict[tuple[int, ...], list[tuple[int, tuple[str, ...]]]] = {}
    for term in itertools.chain.from_iterable(
        itertools.combinations(factors, k) for k in range(1, order + 1)
    ):
        levels_of_term = column(levels, term)
        if len(set(levels_of_term)) == 1:
            continue
        opposite = tuple(-level for level in levels_of_term)
        if opposite in groups:
            groups[opposite].append((-1, term))
        else:
            groups.setdefault(levels_of_term, []).append((1, term))
    return list(groups.values())


def alias_line(group: Sequence[tuple[int, tuple[str, ...]]]) -> str:
    """Write a group of `alias_groups` as "a = -b:c"."""
    return " = ".join(("-" if sign < 0 else "") + ":".join(term) for sign, term in group)


def column(levels: Levels, term: Iterable[str]) -> tuple[int, ...]:
    """Return the product of a term's factors for each variant: -1 or +1."""
    names = list(term)
    return tuple(
        int(np.prod([of_variant[name] for name in names])) for of_variant in levels.values()
    )


def _factors(levels: Levels) -> list[str]:
    return list(next(iter(levels.values())))
