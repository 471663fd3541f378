"""Inspecting: what each rule would take of a scored pool, before anything is trained.

Plain values from arrays, and label-free but for two things: the teacher's accuracy on the task's
validation images, and what a drawn pool knows of its rows, which serves the evaluation of a
selection alone. The test set is not read.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace

from dfkd.data.pools import PoolFiles
from dfkd.experiment import Cell
from dfkd.identity import Json, digest, flat, location_fields, spec
from dfkd.inspection.candidates import Candidates, candidates_of, classes_of, histogram
from dfkd.inspection.choices import Marks, RuleChoices, choices_of
from dfkd.inspection.copies import copies_csv, copies_of
from dfkd.inspection.duplicates import Duplicates, find_duplicates
from dfkd.inspection.fitness import VERY_SURE, Fitness
from dfkd.inspection.rules import Rules, rules_to_compare
from dfkd.inspection.shown import classes_shown
from dfkd.inspection.teacher import TeacherOnTask, teacher_on_task
from dfkd.inspection.untried import untried
from dfkd.method.sampling import ClassBalanced
from dfkd.training.inputs import Inputs, InputSource

VERSION = 3  # raised when the values or the page of an inspection change: it is then made again


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is inspected: the cell of a recipe on the inputs that it would learn from."""

    cell: Cell
    recipe: str
    source: InputSource
    inputs: Inputs
    device: str = "cpu"

    @property
    def rules(self) -> Rules:
        """The rules that are compared."""
        return rules_to_compare(self.cell.experiment.selection, self.inputs.scores)

    @property
    def parts(self) -> int:
        """The number of names that `inspect_parts` yields."""
        return 2 + len(self.rules.by_name)


@dataclass(frozen=True, kw_only=True)
class Found:
    """The result of an inspection. copies_csv: the rows that repeat an earlier one, as a table."""

    fitness: Fitness
    copies_csv: str


def inspection_key(cell: Cell, recipe: str, source: InputSource) -> str:
    """Return a name that is equal for inspections that would find the same."""
    experiment = cell.experiment.canonical()
    pieces: list[Json] = [
        None if piece is None else spec(piece)
        for piece in (
            experiment.task,
            experiment.student,
            experiment.selection,
            experiment.sampling,
            experiment.dropping,
            experiment.views,
        )
    ]
    contents: list[Json] = [
        source.teacher.digest,
        source.pool.digest,
        *map(str, _set_aside(source.pool).items()),
        *sorted(experiment.needs()),
        experiment.reads_labels,
    ]
    return digest([VERSION, recipe, *pieces, *contents, str(cell.block)], 12)


def inspect_parts(subject: Subject) -> Generator[str, None, Found]:
    """Inspect part after part. Yields the name of each part before it begins, returns the result.

    The parts take seconds to minutes each on large pools; the names are for a progress bar.
    """
    experiment, inputs = subject.cell.experiment.canonical(), subject.inputs
    cell, task = replace(subject.cell, experiment=experiment), experiment.task
    yield "near-duplicates"
    duplicates = find_duplicates(inputs.images_NHWC)
    yield "the teacher"
    teacher = teacher_on_task(subject.source.teacher, task, inputs, subject.device)
    candidates, rules = candidates_of(inputs), subject.rules
    marks = Marks(copy_N=duplicates.copy_N, shown_N=classes_shown(subject.source.pool, task))
    chosen = []
    for name, rule in rules.by_name.items():
        yield name
        chosen.append(choices_of(name, rule, cell, inputs, candidates, marks))
    fitness = _fitness(subject, rules, duplicates, teacher, candidates, marks, chosen)
    return Found(fitness=fitness, copies_csv=copies_csv(duplicates, inputs.scores.row_id_N))


def _fitness(
    subject: Subject,
    rules: Rules,
    duplicates: Duplicates,
    teacher: TeacherOnTask,
    candidates: Candidates,
    marks: Marks,
    chosen: list[RuleChoices],
) -> Fitness:
    inputs, shown_N = subject.inputs, marks.shown_N
    [own] = [choice for choice in chosen[0].choices if choice.own_budget]
    return Fitness(
        recipe=subject.recipe,
        rule=rules.own,
        rows=len(inputs.scores),
        held_out=len(inputs.probe.rows_P),
        histogram=histogram(candidates.confidence_A),
        very_sure=int((candidates.confidence_A > VERY_SURE).sum()),
        classes=classes_of(candidates, own.counts, teacher.recall_K),
        choices=tuple(choice for of_rule in chosen for choice in of_rule.choices),
        copies=copies_of(duplicates, inputs),
        profile=teacher.profile,
        sheets=tuple(of_rule.sheets for of_rule in chosen),
        even_batches=isinstance(subject.cell.experiment.sampling, ClassBalanced),
        untried=untried(subject.cell.experiment, subject.source.teacher),
        inside=None if shown_N is None else int((shown_N[candidates.rows_A] >= 0).sum()),
        set_aside=_set_aside(subject.source.pool),
        notes=rules.notes,
        facts=_facts(subject),
    )


def _set_aside(pool: PoolFiles) -> dict[str, int]:
    return {} if pool.set_aside is None else dict(pool.set_aside.counts)


def _facts(subject: Subject) -> dict[str, str]:
    experiment = subject.cell.experiment.canonical()
    pieces = {
        "task": experiment.task,
        "pool": experiment.pool,
        "teacher": experiment.teacher,
        "selection": experiment.selection,
        "sampling": experiment.sampling,
        "dropping": experiment.dropping,
    }
    return {name: _described(piece, name) for name, piece in pieces.items()} | {
        "block": str(subject.cell.block),
        "teacher's digest": subject.source.teacher.digest[:12],
        "pool's digest": subject.source.pool.digest[:12],
    }


def _described(piece: object, name: str) -> str:
    """Say "balanced, ratio 0.1, threshold 0.95", without what is none and without places."""
    values = flat(piece, name)
    kind = str(values.pop(name))
    places = location_fields(piece)
    shown = [
        f"{key.removeprefix(f'{name}.')} {value}"
        for key, value in values.items()
        if value != "none" and key.split(".")[-1] not in places and value != ""
    ]
    return ", ".join([kind, *shown])
