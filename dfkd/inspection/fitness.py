"""What an inspection found of a pool and its teacher, as plain values.

Legend: K classes. A class's fair share is the budget divided by K: what a balanced rule would give
it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from dfkd.reporting.sheets import Picture, Sheet

# The teacher's confidence from which a row counts as a sure example of its pseudo-class.
CONFIDENT = 0.9
VERY_SURE = 0.99  # above it, confidence hardly ranks rows any more
BINS = 20  # of the histogram of confidence

# Measured on digits (`benchmarks/starvation.py`, 6 classes x 2 seeds, one class starved at a time),
# mean recall of that class: its fair share selected 89 %, half of it 74, a quarter 35, a tenth 7.
# Classes differ: one that has half of its share by nature keeps 97. Below a third, about half of
# the recall is lost.
STARVED_TAKEN = 1 / 3
THIN_TAKEN = 0.9
# With its share filled by unsure rows alone 72 %, with a tenth of it sure 79, with a quarter 85,
# with half 87. Unsure rows of this pool are mostly right; where they are not, more is lost.
STARVED_CONFIDENT = 0.1
THIN_CONFIDENT = 0.25

MISSING, STARVED, THIN, COVERED = "missing", "starved", "thin", "covered"


@dataclass(frozen=True, kw_only=True)
class ClassFit:
    """A class in the rows that may be selected. confident: of them, those of CONFIDENT or more."""

    label: int
    rows: int
    confident: int
    mean_confidence: float  # 0 where there are no rows
    taken: int  # by the recipe's rule at its budget
    teacher: float | None = None  # the teacher's recall on validation images


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a rule takes at a budget. counts, inside_K, right_K: of each pseudo-class.

    inside_K, right_K are for the evaluation alone, where the pool knows its characters: rows that
    show one of the task's classes, and those that show their pseudo-class.
    """

    rule: str
    ratio: float  # of the rows that may be selected
    own_budget: bool  # the recipe's
    rows: int
    lowest: float  # confidence
    mean: float
    counts: tuple[int, ...]
    copies: int  # rows that repeat an earlier row of the pool
    inside_K: tuple[int, ...] | None = None
    right_K: tuple[int, ...] | None = None

    @property
    def smallest(self) -> int:
        """The class with the fewest rows, the first of several."""
        return self.counts.index(min(self.counts))

    @property
    def evenness(self) -> float:
        """The entropy of the classes over log K.

        1 where all have as many rows, 0 where one has all.
        """
        if len(self.counts) == 1:
            return 1.0
        shares = [count / self.rows for count in self.counts if count]
        return -sum(s * math.log(s) for s in shares) / math.log(len(self.counts))


@dataclass(frozen=True, kw_only=True)
class RuleSheets:
    """Pictures of what a rule takes and leaves at the recipe's budget."""

    rule: str
    selected: Sheet
    rejected: Sheet


@dataclass(frozen=True, kw_only=True)
class Copies:
    """Counts of rows of the whole pool that repeat an earlier one.

    groups: of the largest ones the number of their rows, and some pictures.
    """

    exact: int
    near: int
    blank: int
    looked_at: int
    groups: tuple[tuple[int, tuple[Picture, ...]], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The teacher on the task's validation images, if there are any, and the grey levels of both.

    Levels are means over pool and task, in 0..1.
    """

    accuracy: float | None
    images: int
    confident: float | None  # share of these images
    histogram: tuple[int, ...]  # of the confidence in them, as the pool's
    pool_mean: tuple[float, ...]  # per channel
    task_mean: tuple[float, ...]
    task_std: tuple[float, ...]

    @property
    def shift(self) -> float:
        """The largest distance of the means over the channels, in deviations of the task."""
        return max(
            abs(p - m) / s
            for p, m, s in zip(self.pool_mean, self.task_mean, self.task_std, strict=True)
        )


@dataclass(frozen=True, kw_only=True)
class Fitness:
    """All that an inspection found.

    rows: of the pool. held_out: those of the probe, which may not be selected.
    """

    recipe: str
    rule: str  # the recipe's
    rows: int
    held_out: int
    histogram: tuple[int, ...]  # of the confidence of what may be selected, BINS parts of 0 to 1
    very_sure: int  # rows above 0.99
    classes: tuple[ClassFit, ...]
    choices: tuple[Choice, ...]  # rule after rule, each at several ratios; the recipe's rule first
    copies: Copies
    profile: Profile
    sheets: tuple[RuleSheets, ...] = ()
    even_batches: bool = False  # whether the recipe's sampling shows all classes equally often
    untried: tuple[str, ...] = ()  # what helped elsewhere and the recipe could have: untried.py
    inside: int | None = None  # of what may be selected: rows that show one of the task's classes
    # reason -> files of the pool that are not used
    set_aside: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def available(self) -> int:
        """The number of rows that may be selected."""
        return self.rows - self.held_out

    @property
    def own(self) -> Choice:
        """The recipe's rule at its budget."""
        return self.at_own_budget()[self.rule]

    @property
    def fair(self) -> float:
        """The rows that each class would have of the recipe's budget if all had as many."""
        return self.own.rows / len(self.classes)

    @property
    def rules(self) -> tuple[str, ...]:
        """The names of the rules, the recipe's first."""
        return tuple(dict.fromkeys(choice.rule for choice in self.choices))

    def at_own_budget(self) -> dict[str, Choice]:
        """Return of each rule the choice at the recipe's budget."""
        return {choice.rule: choice for choice in self.choices if choice.own_budget}

    def state(self, of: ClassFit) -> str:
        """Return whether a class is MISSING, STARVED, THIN or COVERED."""
        if not of.taken:
            return MISSING
        if of.taken < STARVED_TAKEN * self.fair or of.confident < STARVED_CONFIDENT * self.fair:
            return STARVED
        if of.taken < THIN_TAKEN * self.fair or of.confident < THIN_CONFIDENT * self.fair:
            return THIN
        return COVERED

    def filled(self, of: ClassFit) -> float:
        """Return the share of the class's quota that confident rows could fill."""
        return min(1.0, of.confident / self.fair)

    def in_state(self, *states: str) -> list[ClassFit]:
        """Return the classes in one of these states, the worst first."""
        found = [c for c in self.classes if self.state(c) in states]
        return sorted(found, key=lambda c: (min(c.taken, c.confident), c.label))
