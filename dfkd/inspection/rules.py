"""The rules that an inspection compares, and each of them at several budgets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, cast

from dfkd.identity import name_of
from dfkd.method.selection import SELECTIONS, Dynamic, Selection
from dfkd.scores import Scores

RATIOS = (0.05, 0.1, 0.2, 0.5)
# Bytes of logits and features that a rule may read at once; it copies them, more than once.
MOST_BYTES = 2**28


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The rules to compare by name, the recipe's own first, and what a reader must know of them."""

    by_name: Mapping[str, Selection]
    notes: tuple[str, ...]

    @property
    def own(self) -> str:
        """The name of the recipe's rule."""
        return next(iter(self.by_name))


@dataclass(frozen=True, kw_only=True)
class AtBudget:
    """A rule at one budget. ratio: of the rows that may be selected. own: it is the recipe's."""

    rule: Selection
    ratio: float
    own: bool


def rules_to_compare(selection: Selection, scores: Scores) -> Rules:
    """Return the recipe's rule and all others that can read a table of this size.

    A dynamic rule is compared by the rule that it begins with.
    """
    base: Selection = selection.rule if isinstance(selection, Dynamic) else selection
    rules, notes = {name_of(base): base}, []
    if isinstance(selection, Dynamic):
        notes.append(f"the recipe's rule is dynamic: it begins with what {name_of(base)} takes")
    wide = 4 * len(scores) * (scores.logits_NK.shape[1] + scores.features_ND.shape[1]) > MOST_BYTES
    for kind in SELECTIONS:
        if kind is Dynamic or kind is type(base):
            continue
        rule: Any = kind
        if wide and getattr(kind, "columns", None) is None:
            notes.append(_too_wide(name_of(rule(ratio=1.0))))
            continue
        rules[name_of(rule(ratio=1.0))] = rule(ratio=1.0)
    if not _has_budget(base):
        notes.append(
            f"{name_of(base)} has no fields ratio and rows, so it is shown at its own budget only"
        )
    return Rules(by_name=rules, notes=tuple(notes))


def _too_wide(name: str) -> str:
    return (
        f"{name} is left out: it reads all logits and features, more than "
        f"{MOST_BYTES // 2**20} MiB of this pool"
    )


def budgets_of(rule: Selection, selection: Selection, available: int) -> list[AtBudget]:
    """Return the rule at the recipe's budget and at RATIOS, the smallest budget first.

    selection: the recipe's. available: rows that may be selected. A rule whose budget cannot be
    set is returned at its own alone.
    """
    if not _has_budget(rule):
        return [AtBudget(rule=rule, ratio=_ratio(rule, available), own=True)]
    own = _at(rule, selection.ratio, selection.rows)
    own_ratio = _ratio(own, available)
    others = [
        AtBudget(rule=_at(rule, ratio, None), ratio=ratio, own=False)
        for ratio in RATIOS
        if ratio != own_ratio
    ]
    return sorted(
        [*others, AtBudget(rule=own, ratio=own_ratio, own=True)], key=lambda budget: budget.ratio
    )


def _at(rule: Selection, ratio: float | None, rows: int | None) -> Selection:
    return cast(Selection, replace(cast(Any, rule), ratio=ratio, rows=rows))


def _ratio(rule: Selection, available: int) -> float:
    """The share of the available rows that the rule takes."""
    rows = rule.rows if rule.rows is not None else max(1, round((rule.ratio or 0) * available))
    return rows / available


def _has_budget(rule: Selection) -> bool:
    return {"ratio", "rows"} <= {field.name for field in fields(cast(Any, rule))}
