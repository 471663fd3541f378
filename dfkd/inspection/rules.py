"""The rules that an inspection compares, and each of them at several budgets."""

from collections.abc import Mapping
from dataclasses import dataclass

from dfkd.identity import name_of
from dfkd.method.defaults import with_defaults
from dfkd.method.selection import SELECTIONS, BaseSelection, Selection
from dfkd.scores import Scores
from dfkd.training.inputs import reads_bn_distances

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
    own = with_defaults(selection, BaseSelection)
    base = with_defaults(own.once, BaseSelection)
    rules, notes = {name_of(base): base}, []
    if own.redraw is not None:
        notes.append(f"the recipe's rule is dynamic: it begins with what {name_of(base)} takes")
    wide = 4 * len(scores) * (scores.logits_NK.shape[1] + scores.features_ND.shape[1]) > MOST_BYTES
    for kind in SELECTIONS:
        rule = kind.example()
        if rule.redraw is not None or kind is type(base):
            continue
        if reads_bn_distances(rule):
            notes.append(
                f"{name_of(rule)} is left out: it takes a pass of the teacher over the pool, which "
                "is done where it is the recipe's rule"
            )
            continue
        if wide and rule.columns is None:
            notes.append(_too_wide(name_of(rule)))
            continue
        rules[name_of(rule)] = rule
    if base.at_budget(ratio=1.0) is None:
        notes.append(
            f"{name_of(base)} has no fields ratio and rows, so it is shown at its own budget only"
        )
    return Rules(by_name=rules, notes=tuple(notes))


def _too_wide(name: str) -> str:
    return (
        f"{name} is left out: it reads all logits and features, more than {MOST_BYTES // 2**20} "
        "MiB of this pool"
    )


def budgets_of(rule: Selection, selection: Selection, available: int) -> list[AtBudget]:
    """Return the rule at the recipe's budget and at RATIOS, the smallest budget first.

    selection: the recipe's. available: rows that may be selected. A rule whose budget cannot be
    set is returned at its own alone.
    """
    own = rule.at_budget(selection.ratio, selection.rows) or rule
    own_ratio = _ratio(own, available)
    others = [
        AtBudget(rule=other, ratio=ratio, own=False)
        for ratio in RATIOS
        if ratio != own_ratio and (other := rule.at_budget(ratio=ratio)) is not None
    ]
    return sorted(
        [*others, AtBudget(rule=own, ratio=own_ratio, own=True)], key=lambda budget: budget.ratio
    )


def _ratio(rule: Selection, available: int) -> float:
    """Return the share of the available rows that the rule takes."""
    rows = rule.rows if rule.rows is not None else max(1, round((rule.ratio or 0) * available))
    return rows / available
