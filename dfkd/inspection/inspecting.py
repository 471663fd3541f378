"""Inspecting: what each rule would take of a scored pool, before anything is trained; plain values,
from arrays.

Label-free but for what says otherwise: the teacher's accuracy on the task's validation images, and,
for the evaluation of a selection alone, what a drawn pool knows of its rows. The test set is not
read.

Legend: N rows of the pool, A those that may be selected, K classes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from dfkd.data.pools import PoolFiles, read_characters
from dfkd.data.tasks import Digits, Task
from dfkd.experiment import Cell
from dfkd.identity import Json, digest, flat, location_fields, name_of, spec
from dfkd.inspection.duplicates import find_duplicates
from dfkd.inspection.fitness import (
    BINS,
    CONFIDENT,
    Choice,
    ClassFit,
    Copies,
    Fitness,
    Profile,
    RuleSheets,
)
from dfkd.method.dropping import FiltersRows
from dfkd.method.selection import SELECTIONS, Dynamic, Rows, Selection
from dfkd.method.selection.selecting import select
from dfkd.reporting.sheets import Picture, png, sheet_of
from dfkd.scores import score_images, scores_of
from dfkd.seeding import stream
from dfkd.training.distill import Inputs
from dfkd.training.inputs import InputSource

VERSION = 1  # raised when the values or the page of an inspection change: it is then made again
RATIOS = (0.05, 0.1, 0.2, 0.5)
VERY_SURE = 0.99
MOST_BYTES = (
    2**28
)  # of logits and features that a rule may read at once; it copies them, more than once
BRIGHTNESS_OF = 10_000  # rows, evenly spaced
SHOWN_OF_GROUP = 3  # pictures of each group of near-duplicates


def inspection_key(cell: Cell, recipe: str, source: InputSource) -> str:
    """Equal for inspections that would find the same."""
    e = cell.experiment.canonical()
    pieces: list[Json] = [
        None if piece is None else spec(piece) for piece in (e.task, e.selection, e.dropping)
    ]
    contents: list[Json] = [
        source.teacher.digest,
        source.pool.digest,
        *map(str, _set_aside(source.pool).items()),
    ]
    return digest([VERSION, recipe, *pieces, *contents, str(cell.block)], 12)


def _set_aside(pool: PoolFiles) -> dict[str, int]:
    return {} if pool.set_aside is None else dict(pool.set_aside.counts)


@dataclass(frozen=True)
class _Kept:
    """Of the rows that may be selected, what most parts ask for."""

    rows_A: Rows
    label_A: NDArray[np.int64]
    confidence_A: NDArray[np.float32]


class Inspection:
    """One inspection: `parts` computes it and says what comes next, `fitness` has the values in the
    end.
    """

    def __init__(
        self, cell: Cell, recipe: str, source: InputSource, inputs: Inputs, device: str = "cpu"
    ) -> None:
        self.cell, self.recipe, self.source, self.inputs, self.device = (
            cell,
            recipe,
            source,
            inputs,
            device,
        )
        self.e = cell.experiment.canonical()
        self.rules, self.notes = applicable(self.e.selection, inputs)
        self.choices: list[Choice] = []
        self.sheets: list[RuleSheets] = []

    def parts(self) -> Iterator[str]:
        """Computes part after part; the name of each before it begins, as many as `count`."""
        yield "near-duplicates"
        self.duplicates = find_duplicates(self.inputs.images_NHWC)
        yield "the teacher"
        self.profile, self.recall_K = self._profile()
        for name, rule in self.rules.items():
            yield name
            self._choose(name, rule)

    @property
    def count(self) -> int:
        return 2 + len(self.rules)

    def fitness(self) -> Fitness:
        """After all parts."""
        kept, (own, *_) = self.kept, self.rules
        return Fitness(
            recipe=self.recipe,
            rule=own,
            rows=len(self.inputs.scores),
            held_out=len(self.inputs.probe.rows_P),
            histogram=histogram(kept.confidence_A),
            very_sure=int((kept.confidence_A > VERY_SURE).sum()),
            classes=self._classes(own),
            choices=tuple(self.choices),
            copies=self._copies(),
            profile=self.profile,
            sheets=tuple(self.sheets),
            inside=None if self.shown_N is None else int((self.shown_N[kept.rows_A] >= 0).sum()),
            set_aside=_set_aside(self.source.pool),
            notes=self.notes,
            facts=self._facts(),
        )

    @cached_property
    def kept(self) -> _Kept:
        """All rows but the probe's."""
        scores = self.inputs.scores
        rows_A = np.setdiff1d(np.arange(len(scores)), self.inputs.probe.rows_P, assume_unique=True)
        return _Kept(
            rows_A,
            np.asarray(scores.pseudo_label_N)[rows_A],
            np.asarray(scores.confidence_N)[rows_A],
        )

    @cached_property
    def shown_N(self) -> NDArray[np.int64] | None:
        return classes_shown(self.source.pool, self.e.task)

    @cached_property
    def copy_N(self) -> NDArray[np.bool_]:
        return self.duplicates.exact_N | self.duplicates.near_N

    # ---- what a rule takes

    def _choose(self, name: str, rule: Selection) -> None:
        own = self._at_own_budget(rule)
        own_ratio = self._count(own) / len(self.kept.rows_A)
        budgets = (
            {ratio: replace(cast(Any, rule), ratio=ratio, rows=None) for ratio in RATIOS}
            if _has_ratio(rule)
            else {}
        )
        for ratio, budgeted in sorted((budgets | {own_ratio: own}).items()):
            rows_N = self._rows(budgeted)
            self.choices.append(self._choice(name, ratio, budgeted is own, rows_N))
            if budgeted is own:
                self.sheets.append(self._sheets(name, rows_N))

    def _at_own_budget(self, rule: Selection) -> Selection:
        own = self.e.selection
        return replace(rule, ratio=own.ratio, rows=own.rows) if _has_ratio(rule) else rule  # type: ignore[type-var]

    def _count(self, rule: Selection) -> int:
        available = len(self.kept.rows_A)
        return rule.rows if rule.rows is not None else max(1, round((rule.ratio or 0) * available))

    def _rows(self, rule: Selection) -> Rows:
        """As a run selects them."""
        scores, seed = self.inputs.scores, stream(self.cell.block.seed, "selection")
        rows_N = select(rule, scores, self.inputs.probe.rows_P, seed)
        return (
            self.e.dropping.filter(scores, rows_N)
            if isinstance(self.e.dropping, FiltersRows)
            else rows_N
        )

    def _choice(self, name: str, ratio: float, own: bool, rows_N: Rows) -> Choice:
        scores = self.inputs.scores
        label_S = np.asarray(scores.pseudo_label_N)[rows_N]
        confidence_S = np.asarray(scores.confidence_N)[rows_N]
        shown_S = None if self.shown_N is None else self.shown_N[rows_N]

        def counts(mask_S: NDArray[np.bool_]) -> tuple[int, ...]:
            return tuple(np.bincount(label_S[mask_S], minlength=scores.classes).tolist())

        return Choice(
            rule=name,
            ratio=ratio,
            own_budget=own,
            rows=len(rows_N),
            lowest=float(confidence_S.min()),
            mean=float(confidence_S.mean(dtype=np.float64)),
            counts=counts(np.ones(len(rows_N), dtype=np.bool_)),
            copies=int(self.copy_N[rows_N].sum()),
            inside_K=None if shown_S is None else counts(shown_S >= 0),
            right_K=None if shown_S is None else counts(shown_S == label_S),
        )

    def _sheets(self, name: str, rows_N: Rows) -> RuleSheets:
        left_N = np.setdiff1d(self.kept.rows_A, rows_N, assume_unique=True)
        images, scores = self.inputs.images_NHWC, self.inputs.scores
        selected, rejected = (sheet_of(name, rows, images, scores) for rows in (rows_N, left_N))
        return RuleSheets(rule=name, selected=selected, rejected=rejected)

    # ---- the pool and the teacher

    def _classes(self, own: str) -> tuple[ClassFit, ...]:
        kept, classes = self.kept, self.inputs.scores.classes
        rows_K = np.bincount(kept.label_A, minlength=classes)
        sure_K = np.bincount(
            kept.label_A[kept.confidence_A >= np.float32(CONFIDENT)], minlength=classes
        )
        mean_K = np.bincount(
            kept.label_A, weights=kept.confidence_A, minlength=classes
        ) / np.maximum(rows_K, 1)
        taken = next(
            choice.counts for choice in self.choices if choice.rule == own and choice.own_budget
        )
        recall_K = self.recall_K or [None] * classes
        return tuple(
            ClassFit(
                label=k,
                rows=int(rows_K[k]),
                confident=int(sure_K[k]),
                mean_confidence=float(mean_K[k]),
                taken=taken[k],
                teacher=recall_K[k],
            )
            for k in range(classes)
        )

    def _profile(self) -> tuple[Profile, list[float | None] | None]:
        """The teacher's profile, and its recall of each class where there is a validation split."""
        task, images = self.e.task, self.inputs.images_NHWC
        spaced = np.unique(
            np.linspace(0, len(images) - 1, min(len(images), BRIGHTNESS_OF))
            .round()
            .astype(np.int64)
        )
        means = np.asarray(images[spaced]).mean(axis=(0, 1, 2), dtype=np.float64) / 255
        profile = Profile(
            accuracy=None,
            images=0,
            confident=None,
            histogram=(0,) * BINS,
            pool_mean=tuple(means.tolist()),
            task_mean=task.mean,
            task_std=task.std,
        )
        split = self.inputs.validation
        if split is None or not len(split):
            return profile, None
        answers = scores_of(
            np.arange(len(split)),
            *score_images(self.source.teacher, split.images, task, self.device),
        )
        right = answers.pseudo_label_N == split.labels
        sure = float((answers.confidence_N >= np.float32(CONFIDENT)).mean())
        recall = [
            float(right[split.labels == k].mean()) if (split.labels == k).any() else None
            for k in range(task.classes)
        ]
        return replace(
            profile,
            accuracy=float(right.mean()),
            images=len(split),
            confident=sure,
            histogram=histogram(answers.confidence_N),
        ), recall

    def _copies(self) -> Copies:
        found, scores, images = self.duplicates, self.inputs.scores, self.inputs.images_NHWC
        groups = tuple(
            (
                len(group),
                tuple(
                    Picture(png=png(images[row]), confidence=float(scores.confidence_N[row]))
                    for row in group[:SHOWN_OF_GROUP]
                ),
            )
            for group in found.groups
        )
        return Copies(
            exact=int(found.exact_N.sum()),
            near=int(found.near_N.sum()),
            blank=int(found.blank_N.sum()),
            looked_at=found.looked_at,
            groups=groups,
        )

    def copies_csv(self) -> str:
        """Every row that repeats an earlier one or shows nothing, by its id."""
        row_id_N = self.inputs.scores.row_id_N
        kinds = {
            "exact": self.duplicates.exact_N,
            "near": self.duplicates.near_N,
            "blank": self.duplicates.blank_N,
        }
        lines = [
            f"{row_id_N[row]},{kind}"
            for kind, mask_N in kinds.items()
            for row in np.flatnonzero(mask_N)
        ]
        return "\n".join(["row_id,kind", *lines]) + "\n"

    def _facts(self) -> dict[str, str]:
        pieces = {
            "task": self.e.task,
            "pool": self.e.pool,
            "teacher": self.e.teacher,
            "selection": self.e.selection,
            "dropping": self.e.dropping,
        }
        said = {name: _described(piece, name) for name, piece in pieces.items()}
        return said | {
            "block": str(self.cell.block),
            "teacher's digest": self.source.teacher.digest[:12],
            "pool's digest": self.source.pool.digest[:12],
        }


def histogram(confidence_N: NDArray[np.float32]) -> tuple[int, ...]:
    """Rows in BINS equal parts of 0 to 1.

    Parts as float32: 0.9 is then the edge that CONFIDENT is.
    """
    edges = np.linspace(0, 1, BINS + 1).astype(np.float32)
    return tuple(np.histogram(confidence_N, bins=edges)[0].tolist())


def applicable(own: Selection, inputs: Inputs) -> tuple[dict[str, Selection], tuple[str, ...]]:
    """Rules by name, the recipe's first, and what is to be said of the others. A dynamic rule
    selects as its own.
    """
    base: Selection = own.rule if isinstance(own, Dynamic) else own
    rules, notes = {name_of(base): base}, []
    if isinstance(own, Dynamic):
        notes.append(f"the recipe's rule is dynamic: it begins with what {name_of(base)} takes")
    scores = inputs.scores
    wide = 4 * len(scores) * (scores.logits_NK.shape[1] + scores.features_ND.shape[1]) > MOST_BYTES
    for kind in SELECTIONS:
        if kind is Dynamic or kind is type(base):
            continue
        rule: Any = kind
        if wide and getattr(kind, "columns", None) is None:
            notes.append(
                f"{name_of(rule(ratio=1.0))} is left out: it reads all logits and features, more "
                "than "
                f"{MOST_BYTES // 2**20} MiB of this pool"
            )
            continue
        rules[name_of(rule(ratio=1.0))] = rule(ratio=1.0)
    if not _has_ratio(base):
        notes.append(
            f"{name_of(base)} has no fields ratio and rows, so it is shown at its own budget only"
        )
    return rules, tuple(notes)


def _has_ratio(rule: Selection) -> bool:
    return {"ratio", "rows"} <= {field.name for field in fields(rule)}  # type: ignore[arg-type]  # all pieces are dataclasses


def classes_shown(pool: PoolFiles, task: Task) -> NDArray[np.int64] | None:
    """For each row the class of the task that it shows, -1 for none; None of a pool that does not
    know.

    A drawn pool names what a row shows: "garment 3" shows class 3. A bare digit is a class of
    `Digits` alone.
    """
    pattern = re.compile(r"(\d)" if isinstance(task, Digits) else r"\S+ (\d+)")
    parts = []
    for shard in pool.shards:
        try:
            characters = read_characters(shard.path)
        except ValueError:  # not a drawn pool
            return None
        found = [pattern.fullmatch(character) for character in characters]
        parts.append(
            np.array([-1 if match is None else int(match[1]) for match in found], dtype=np.int64)
        )
    return np.concatenate(parts)


def _described(piece: object, name: str) -> str:
    """ "balanced, ratio 0.1, threshold 0.95"; without what is none and where it lies."""
    values = flat(piece, name)
    kind = str(values.pop(name))
    places = location_fields(piece)
    shown = [
        f"{key.removeprefix(f'{name}.')} {value}"
        for key, value in values.items()
        if value != "none" and key.split(".")[-1] not in places and value != ""
    ]
    return ", ".join([kind, *shown])
