"""What a rule takes of a pool at one budget, in numbers and in pictures.

Legend: N rows of the pool, S those that the rule takes, K classes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfkd.experiment import Cell
from dfkd.inspection.candidates import Candidates
from dfkd.inspection.fitness import Choice, RuleSheets
from dfkd.inspection.rules import AtBudget, budgets_of
from dfkd.method.selection import Rows, Selection
from dfkd.method.selection.selecting import rows_taken
from dfkd.reporting.sheets import sheet_of
from dfkd.scores import Scores
from dfkd.training.inputs import Inputs


@dataclass(frozen=True, kw_only=True)
class Marks:
    """What is known of each row of the pool, apart from the teacher's answer.

    shown_N: the class that the row shows, -1 for none of the task's; None where the pool does not
    know it.
    """

    copy_N: NDArray[np.bool_]
    shown_N: NDArray[np.int64] | None


@dataclass(frozen=True, kw_only=True)
class RuleChoices:
    """One rule at all its budgets, and pictures of what it takes at the recipe's."""

    choices: tuple[Choice, ...]
    sheets: RuleSheets


def choices_of(
    name: str, rule: Selection, cell: Cell, inputs: Inputs, candidates: Candidates, marks: Marks
) -> RuleChoices:
    """Return what the rule selects at each budget, as a run of the cell does."""
    budgets = budgets_of(rule, cell.experiment.selection, len(candidates.rows_A))
    dropping, probe_P = cell.experiment.dropping, inputs.probe.rows_P
    scores = inputs.scores_for(rule, cell.experiment.task)
    rows_of = [
        rows_taken(budget.rule, dropping, scores, probe_P, cell.block.seed) for budget in budgets
    ]
    choices = tuple(
        choice_of(name, budget, rows_S, inputs.scores, marks)
        for budget, rows_S in zip(budgets, rows_of, strict=True)
    )
    [own_S] = [rows_S for budget, rows_S in zip(budgets, rows_of, strict=True) if budget.own]
    return RuleChoices(choices=choices, sheets=sheets_of(name, own_S, inputs, candidates))


def choice_of(name: str, budget: AtBudget, rows_S: Rows, scores: Scores, marks: Marks) -> Choice:
    """Count what these rows hold of each pseudo-class, of copies, and of what the pool knows."""
    label_S = np.asarray(scores.pseudo_label_N)[rows_S]
    confidence_S = np.asarray(scores.confidence_N)[rows_S]
    shown_S = None if marks.shown_N is None else marks.shown_N[rows_S]

    def counts(label_R: NDArray[np.int64]) -> tuple[int, ...]:
        return tuple(np.bincount(label_R, minlength=scores.classes).tolist())

    return Choice(
        rule=name,
        ratio=budget.ratio,
        own_budget=budget.own,
        rows=len(rows_S),
        lowest=float(confidence_S.min()),
        mean=float(confidence_S.mean(dtype=np.float64)),
        counts=counts(label_S),
        copies=int(marks.copy_N[rows_S].sum()),
        inside_K=None if shown_S is None else counts(label_S[shown_S >= 0]),
        right_K=None if shown_S is None else counts(label_S[shown_S == label_S]),
    )


def sheets_of(name: str, rows_S: Rows, inputs: Inputs, candidates: Candidates) -> RuleSheets:
    """Draw the contact sheets of what is taken and of what is left."""
    left = np.setdiff1d(candidates.rows_A, rows_S, assume_unique=True)
    images, scores = inputs.images_NHWC, inputs.scores
    selected, rejected = (sheet_of(name, rows, images, scores) for rows in (rows_S, left))
    return RuleSheets(rule=name, selected=selected, rejected=rejected)
