"""An inspection as tables: for the page, the terminal and CSV."""

from dfkd.inspection.fitness import CONFIDENT, MISSING, STARVED, THIN, Choice, ClassFit, Fitness
from dfkd.reporting.numbers import ranges, ratio_text, share_text

# Rows of a table that is read: of more classes the worst; all of them are in classes.csv.
MOST_CLASSES = 40
Table = tuple[list[str], list[list[str]]]  # header and rows


def classes(fitness: Fitness, most: int = MOST_CLASSES) -> Table:
    """Return a row for each class, or for the worst `most` of them."""
    known = any(c.teacher is not None for c in fitness.classes)
    header = ["class", "rows", "sure", "mean confidence", "fair share", "sure could fill", "taken"]
    header += ["teacher's recall", "verdict"] if known else ["verdict"]
    return header, [_class(fitness, c, known) for c in shown_classes(fitness, most)]


def _class(fitness: Fitness, c: ClassFit, known: bool) -> list[str]:
    recall = "" if c.teacher is None else f"{share_text(c.teacher)} %"
    return [
        str(c.label),
        f"{c.rows:,}",
        f"{c.confident:,}",
        f"{c.mean_confidence:.2f}",
        f"{fitness.fair:,.0f}",
        f"{share_text(fitness.filled(c))} %",
        f"{c.taken:,}",
        *([recall] if known else []),
        fitness.state(c),
    ]


def shown_classes(fitness: Fitness, most: int = MOST_CLASSES) -> list[ClassFit]:
    """Return all classes in their order; of too many those with the least."""
    if len(fitness.classes) <= most:
        return list(fitness.classes)
    return sorted(fitness.classes, key=lambda c: (min(c.taken, c.confident), c.label))[:most]


def which(fitness: Fitness, most: int = MOST_CLASSES) -> str:
    """Say that classes are left out; "" where none is."""
    total = len(fitness.classes)
    if total <= most:
        return ""
    return f"The {most} of {total} classes with the least; all are in classes.csv."


CHOICES_HEADER = [
    "rule",
    "ratio",
    "rows",
    "lowest confidence",
    "mean",
    "smallest class",
    "evenness",
    "copies",
]


def choices(fitness: Fitness) -> Table:
    """Return a row for each rule and ratio."""
    return CHOICES_HEADER, [_choice(c) for c in fitness.choices]


def own_choices(fitness: Fitness) -> Table:
    """Return the recipe's rule at all ratios, the others at the recipe's budget."""
    return CHOICES_HEADER, [
        _choice(c) for c in fitness.choices if c.own_budget or c.rule == fitness.rule
    ]


def _choice(c: Choice) -> list[str]:
    smallest = f"{c.counts[c.smallest]:,} (class {c.smallest})"
    mark = " *" if c.own_budget else ""
    return [
        c.rule,
        ratio_text(c.ratio) + mark,
        f"{c.rows:,}",
        f"{c.lowest:.3f}",
        f"{c.mean:.3f}",
        smallest,
        f"{c.evenness:.3f}",
        f"{share_text(c.copies / c.rows)} %",
    ]


def per_class(fitness: Fitness, rule: str) -> Table:
    """Return how many rows of each class a rule takes at each ratio."""
    shown = [c for c in fitness.choices if c.rule == rule]
    header = ["class", *(ratio_text(c.ratio) + (" *" if c.own_budget else "") for c in shown)]
    return header, [
        [str(k.label), *(f"{c.counts[k.label]:,}" for c in shown)] for k in shown_classes(fitness)
    ]


EVALUATION = ["rows", "in the domain", "of the taken", "pseudo-class right", "of the taken"]


def evaluation(fitness: Fitness) -> Table:
    """Return what a drawn pool knows of the rows that each rule takes.

    No rule may read any of it.
    """
    rows = [
        [
            c.rule,
            ratio_text(c.ratio) + (" *" if c.own_budget else ""),
            *_of(c.rows, sum(c.inside_K), sum(c.right_K)),
        ]
        for c in fitness.choices
        if c.inside_K is not None and c.right_K is not None
    ]
    return ["rule", "ratio", *EVALUATION], rows


def evaluation_per_class(fitness: Fitness) -> Table:
    """Return the same of each pseudo-class in what the recipe takes."""
    own = fitness.own
    assert own.inside_K is not None and own.right_K is not None  # asked only where the pool knows
    shown = [c.label for c in shown_classes(fitness)]
    return ["class", *EVALUATION], [
        [str(k), *_of(own.counts[k], own.inside_K[k], own.right_K[k])] for k in shown
    ]


def _of(rows: int, inside: int, right: int) -> list[str]:
    shares = [f"{share_text(count / rows)} %" if rows else "" for count in (inside, right)]
    return [f"{rows:,}", f"{inside:,}", shares[0], f"{right:,}", shares[1]]


def classes_csv(fitness: Fitness) -> str:
    """Return every class in full as CSV, with what each rule takes of it at each ratio."""
    columns = [f"{c.rule}@{ratio_text(c.ratio)}" for c in fitness.choices]
    lines = [["class", "rows", "confident", "mean_confidence", "teacher_recall", "state", *columns]]
    for c in fitness.classes:
        recall = "" if c.teacher is None else repr(c.teacher)
        taken = [str(choice.counts[c.label]) for choice in fitness.choices]
        lines.append(
            [
                str(c.label),
                str(c.rows),
                str(c.confident),
                repr(c.mean_confidence),
                recall,
                fitness.state(c),
                *taken,
            ]
        )
    return "\n".join(",".join(line) for line in lines) + "\n"


def facts(fitness: Fitness) -> list[str]:
    """Return what a reader has to know before the numbers, in lines."""
    p, copies = fitness.profile, fitness.copies
    lines = [
        f"{fitness.rows:,} rows in the pool; {fitness.held_out:,} of them are held out as the "
        f"probe, {fitness.available:,} may be selected",
        f"the recipe takes {fitness.own.rows:,} of them ({fitness.rule}, ratio "
        f"{ratio_text(fitness.own.ratio)}): a fair share is {fitness.fair:,.0f} for each of "
        f"{len(fitness.classes)} classes",
        teacher(fitness),
    ]
    if copies.exact or copies.near or copies.blank:
        said = (
            f"exact copies: {copies.exact:,}, near-duplicates: {copies.near:,}, rows of one "
            f"colour: {copies.blank:,}"
        )
        lines.append(
            said
            if copies.looked_at == fitness.rows
            else f"{said}, of {copies.looked_at:,} looked at"
        )
    else:
        lines.append("no copies, near-duplicates or rows of one colour were found")
    if fitness.set_aside:
        count = sum(fitness.set_aside.values())
        lines.append(f"files of the pool that are set aside: {count:,}")
    if p.shift >= 0.5:
        lines.append(f"the pool's mean brightness lies {p.shift:.1f} deviations from the task's")
    return [*lines, *fitness.notes]


def teacher(fitness: Fitness) -> str:
    """Say how often the teacher is right, where there are labels to tell, and how sure it is."""
    p, sure = fitness.profile, sum(c.confident for c in fitness.classes) / fitness.available
    pool = f"it is sure (confidence {CONFIDENT} or more) of {share_text(sure)} % of the pool"
    if p.accuracy is None or p.confident is None:
        return f"the task has no validation split, so the teacher's accuracy is not known; {pool}"
    return (
        f"the teacher is right on {share_text(p.accuracy)} % of {p.images:,} validation images and "
        f"sure of {share_text(p.confident)} % of them; {pool}"
    )


def uncovered(fitness: Fitness) -> str:
    """Say for a table's title which classes are not covered, in the words of the verdict."""
    found = {
        state: [c.label for c in fitness.classes if fitness.state(c) == state]
        for state in (MISSING, STARVED, THIN)
    }
    said = [f"{state} {ranges(labels)}" for state, labels in found.items() if labels]
    return "; ".join(said) or "all are covered"
