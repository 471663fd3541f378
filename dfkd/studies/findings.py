"""What follows from a study's cells, wherever they were read from.

The same cells give the same findings, whether a ledger or a tracking server had them. Nothing here
depends on the time, on the machine or on where the records lie, so that a report of the same
records is the same byte for byte.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from dfkd.reporting.numbers import counted
from dfkd.reporting.shell import option
from dfkd.stats.aliases import column, resolution_of
from dfkd.stats.comparisons import Comparison, compare
from dfkd.stats.designs import Levels
from dfkd.stats.factorial import Effect, effects
from dfkd.stats.racing import Plan, race
from dfkd.stats.summaries import summarise
from dfkd.storage import Storage
from dfkd.storage.notes import NO_NOTE, Note

PER_CLASS = (
    "test.class."  # prefix of the accuracy on one class of the test set, where cells recorded it
)


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """Results that are no cells of ours. metric: what was measured; block: what a block is."""

    metric: str
    block: str


@dataclass(frozen=True, kw_only=True)
class StudyData:
    """What a study is and what its cells gave.

    params: variant -> flat parameters as text. changes: variant -> parameter -> (here, in the
    baseline). cells: one row each with variant (categorical, in the study's order), block,
    state, value (test accuracy, a fraction), seconds (with the synthesis of its pool), cell,
    reused, and every metric under its own name. curves: variant, block, step and MEASURES.
    looked: after how many blocks results were shown.
    """

    name: str
    question: str
    baseline: str
    params: Mapping[str, Mapping[str, str]]
    changes: Mapping[str, Mapping[str, tuple[str, str]]]
    blocks: tuple[str | int, ...]
    cells: pd.DataFrame
    curves: pd.DataFrame
    provenance: Mapping[str, tuple[str, ...]]
    test_images: int | None
    looks: tuple[int, ...] | None  # of a race; None for a study of fixed size
    looked: tuple[int, ...]
    errors: Mapping[str, str]
    check: str
    remarks: tuple[str, ...] = ()  # of the study itself
    note: Note = NO_NOTE  # what people say of it
    elsewhere: Elsewhere | None = None  # of results that are no cells of ours

    @property
    def measure(self) -> str:
        """What the values are, such as "test accuracy"."""
        return "test accuracy" if self.elsewhere is None else self.elsewhere.metric


@dataclass(frozen=True, kw_only=True)
class Findings:
    """The analysis of a study. notes: sentences that a reader must see beside the numbers."""

    data: StudyData
    summary: pd.DataFrame
    comparisons: list[Comparison]
    effects: list[Effect]  # empty unless the variants are a factorial design
    varies: str
    conditions: str
    notes: tuple[str, ...]


def find(data: StudyData, storage: Storage | None = None) -> Findings:
    """Analyse a study. Raises ValueError where nothing can be compared yet.

    storage: that holds the cells, where they are from one; a line about those that failed names it.
    """
    cells = data.cells
    if not ((cells["variant"] == data.baseline) & (cells["state"] != "errored")).any():
        raise ValueError(_nothing_to_compare(data, storage))
    varies, conditions = _what_blocks_hold(data)
    comparisons = _compared(data)
    return Findings(
        data=data,
        summary=summarise(cells, test_images=data.test_images),
        comparisons=comparisons,
        effects=_effects(data),
        varies=varies,
        conditions=conditions,
        notes=(*_notes(data), *(f"{c.variant}: {c.note}" for c in comparisons if c.note)),
    )


def _nothing_to_compare(data: StudyData, storage: Storage | None) -> str:
    """Return why a study without a cell of its baseline says nothing, with the first cause."""
    missing = f"the study {data.name} has no cell of its baseline {data.baseline!r}"
    if not data.errors:
        return f"{missing} yet: run it first"
    cell, reason = next(iter(data.errors.items()))
    finished = int((data.cells["state"] != "errored").sum())
    kept = f"; {finished} of other variants are kept" if finished else ""
    log = ""
    if storage is not None:
        log = f" (its log:  python -m platform.show {cell} {option('storage', storage)})"
    return (
        f"{missing}: {counted(len(data.errors), 'cell')} failed{kept}. The first one: {reason}"
        f"{log}. The same command tries again"
    )


def _compared(data: StudyData) -> list[Comparison]:
    if data.looks is None:
        return compare(data.cells, baseline=data.baseline)
    plan = Plan(blocks=data.blocks, looks=data.looks)
    return race(
        data.cells, variants=list(data.params), baseline=data.baseline, plan=plan
    ).comparisons


def _what_blocks_hold(data: StudyData) -> tuple[str, str]:
    """Return what differs between blocks, and what all of them share.

    On the second every conclusion is conditional.
    """
    if data.elsewhere is not None:
        return (
            f"blocks are the rows with one {data.elsewhere.block}",
            "conditional on what these runs share",
        )
    words = {"seed": "the student's seed", "draw": "the draw of the pool", "teacher": "the teacher"}
    varying = [word for part, word in words.items() if data.cells[part].nunique() > 1]
    fixed = [
        word
        for part, word in {"teacher": "teacher", "draw": "pool"}.items()
        if data.cells[part].nunique() == 1
    ]
    varies = "blocks vary " + (_listed(varying) or "nothing")
    return varies, "conditional on " + _listed([f"this {word}" for word in (*fixed, "test set")])


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def _notes(data: StudyData) -> list[str]:
    """Return what a reader must know of how the study went, a sentence each."""
    notes = []
    wanted, done = len(data.blocks), data.cells["block"].nunique()
    if data.looks is not None:
        notes.append(
            f"a race: looked at after {_listed([str(n) for n in data.looks])} blocks; a variant "
            "that was decided took no further blocks; p-values and intervals allow for the looks, "
            "estimates of stopped variants lean away from 0"
        )
    elif len(data.looked) > 1:
        notes.append(
            f"results were seen after {_listed([str(n) for n in data.looked])} blocks: the "
            "p-values know nothing of "
            "the earlier looks (--race plans them)"
        )
    for part, digest in {"draw": "pool", "teacher": "teacher"}.items():
        if len(data.provenance.get(digest, ())) > data.cells[part].nunique():
            notes.append(
                f"the variants do not all share one {digest}: it is part of what is compared"
            )
    if done < wanted:
        notes.append(f"{done} of {wanted} blocks have been computed so far")
    if (data.cells["state"] == "diverged").any():
        notes.append("a diverged cell counts as chance accuracy")
    notes += [f"errored, left out: {cell} ({reason})" for cell, reason in data.errors.items()]
    notes += data.remarks
    if data.check:
        notes.append(data.check)
    return [*notes, *(_unpaired(data) if data.elsewhere else _per_class(data.cells))]


def _unpaired(data: StudyData) -> list[str]:
    """Return a sentence on rows in blocks that the baseline lacks: they are in no difference."""
    blocks = data.cells["block"]
    alone = int((~blocks.isin(blocks[data.cells["variant"] == data.baseline])).sum())
    return [f"{counted(alone, 'row')} in no block of {data.baseline}: left out"] if alone else []


def _per_class(cells: pd.DataFrame) -> list[str]:
    """Return how many cells recorded their classes, where it is not all of them."""
    recorded, possible = int(cells.filter(like=PER_CLASS).notna().any(axis=1).sum()), len(cells)
    if not recorded:
        return ["accuracy per class was not recorded by these cells and is left out"]
    if recorded < possible:
        return [
            f"accuracy per class rests on {recorded} of {possible} cells: the others did not "
            "record it"
        ]
    return []


def levels_of(variants: list[str], base: str = "base") -> Levels | None:
    """Return the levels of a factorial design, None for variants that are none.

    Variants of a factorial are named as `designs` names them: "a+b" has the factors a and b.
    """
    active = {name: () if name == base else tuple(name.split("+")) for name in variants}
    factors = list(dict.fromkeys(factor for names in active.values() for factor in names))
    if base not in active or len(factors) < 2 or len(variants) < 4:
        return None
    levels = {name: {f: 1 if f in names else -1 for f in factors} for name, names in active.items()}
    balanced = all(sum(column(levels, [factor])) == 0 for factor in factors)
    resolution = resolution_of(levels)
    whole = resolution is not None or len(levels) == 2 ** len(factors)
    return levels if balanced and whole and (resolution is None or resolution >= 3) else None


def _effects(data: StudyData) -> list[Effect]:
    levels = levels_of(list(data.params))
    complete = data.cells[data.cells["state"] != "errored"]
    if levels is None or data.looks is not None or set(complete["variant"]) != set(levels):
        return []
    return effects(complete, levels)


@dataclass(frozen=True, kw_only=True)
class Dose:
    """A study whose variants differ in one number: the parameter, and each variant's value."""

    parameter: str
    values: Mapping[str, float]


def dose(data: StudyData) -> Dose | None:
    """Return the one number in which the variants differ, None if they differ in more.

    A piece that a variant lacks counts as 0.
    """
    changed = {name for changes in data.changes.values() for name in changes}
    numbers = [name for name in sorted(changed) if "." in name and _is_curve(data, name)]
    if len(numbers) != 1 or any(
        not name.startswith(numbers[0].rsplit(".", 1)[0]) for name in changed
    ):
        return None
    [name] = numbers
    piece = name.rsplit(".", 1)[0]
    kinds = {params[piece] for params in data.params.values() if piece in params} - {"none"}
    others = changed - {name, piece}
    if len(kinds) > 1 or any(len(_values(data, other)) > 1 for other in others):
        return None
    return Dose(
        parameter=name, values={v: float(params.get(name, 0)) for v, params in data.params.items()}
    )


def _is_curve(data: StudyData, name: str) -> bool:
    values = _values(data, name)
    return len(values) > 1 and all(_number(value) for value in values)


def _values(data: StudyData, name: str) -> set[str]:
    """Return the values of a parameter over the variants that have it."""
    return {params[name] for params in data.params.values() if name in params}


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
