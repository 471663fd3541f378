"""What an inspection means, in words: can this pool teach this student, and what is to be done
about it?
"""

from __future__ import annotations

import math

from dfkd.inspection.fitness import (
    CONFIDENT,
    MISSING,
    STARVED,
    STARVED_TAKEN,
    THIN,
    ClassFit,
    Fitness,
)

MANY_COPIES = 0.1  # of the rows: a tenth of what is scored and selected is then paid for twice
MANY_BLANK = 0.02  # of the rows: no natural pool has many pictures of one colour
# of the files: more than stray files, so a whole source is probably not read as it was meant
MANY_SET_ASIDE = 0.05
# share of confident rows: below, the pool is far from what the teacher knows, or read wrongly
SURE_OF_NOTHING = 0.05
SURE_OF_ALL = 0.8  # share of rows above 0.99: confidence then hardly ranks them
# Classes that hold three times an even share of the pool or more: on digits (class 8) and
# Fashion-MNIST (0 and 8) 5 to 8 % of their sure rows showed the class, of the other classes' 5 to
# 66 %, in half of them above a third.
SINK = 3.0
WEAK_TEACHER = 0.5  # validation accuracy: a student seldom exceeds its teacher
# deviations of the task between the mean brightness of pool and task: inverted, or scaled otherwise
SHIFTED = 1.0


def verdict(fitness: Fitness) -> str:
    """In a sentence or two: which classes this pool can teach, which not, and by how much."""
    poor, total = fitness.in_state(MISSING, STARVED), len(fitness.classes)
    taught = sorted(c.label for c in fitness.classes if c not in poor)
    if not poor:
        start = f"This pool can teach all {total} classes."
    elif not taught:
        start = f"This pool, so selected, cannot teach: all {total} classes are starved."
    else:
        start = f"This pool can teach {len(taught)} of {total} classes ({ranges(taught)})."
    thin = fitness.in_state(THIN)
    said = [_said(fitness, poor, "starved"), _said(fitness, thin, "thin")]
    return " ".join(part for part in (start, *said) if part)


def _said(fitness: Fitness, classes: list[ClassFit], word: str, most: int = 3) -> str:
    """One class in a sentence; of more the worst with their numbers, the others by name."""
    if not classes:
        return ""
    budget = f"{fitness.rule} at ratio {short(fitness.own.ratio)}"
    if len(classes) == 1:
        [c] = classes
        return (
            f"Class {c.label} is {word}: {budget} takes {c.taken:,} of its fair share of "
            f"{fitness.fair:,.0f} rows, and "
            f"{counted(c.confident, 'row')} of the pool {'has' if c.confident == 1 else 'have'} a "
            "confidence of "
            f"{CONFIDENT} or more."
        )
    shown = [
        f"{c.taken:,} for class {c.label} ({c.confident:,} sure ones in the pool)"
        for c in classes[:most]
    ]
    others = ranges(sorted(c.label for c in classes[most:]))
    return (
        f"{len(classes)} classes are {word}: of a fair share of {fitness.fair:,.0f} rows {budget} "
        "takes " + ", ".join([*shown, *([f"and alike {others}"] if others else [])]) + "."
    )


def advice(fitness: Fitness) -> list[str]:
    """What to do about it, the most important first. Nothing where nothing is wrong."""
    return [text for text in (judge(fitness) for judge in JUDGES) if text]


def weak_teacher(fitness: Fitness) -> str:
    accuracy = fitness.profile.accuracy
    if accuracy is None or accuracy >= WEAK_TEACHER:
        return ""
    return (
        f"The teacher is right on {percent(accuracy)} % of the validation images: mend it first "
        "(python -m "
        "platform.teach says how good it is; are its classes and its normalisation those of the "
        "task?)."
    )


def shifted(fitness: Fitness) -> str:
    shift = fitness.profile.shift
    if shift < SHIFTED:
        return ""
    p = fitness.profile
    return (
        f"The pool's mean brightness ({levels(p.pool_mean)}) lies {shift:.1f} deviations from the "
        "task's "
        f"({levels(p.task_mean)}): are its images inverted, or on another background? The sheets "
        "below show it."
    )


def sure_of_nothing(fitness: Fitness) -> str:
    share = sum(c.confident for c in fitness.classes) / fitness.available
    if share >= SURE_OF_NOTHING:
        return ""
    return (
        f"The teacher is confident of {percent(share)} % of the rows only: this pool is far from "
        "what it knows, or is "
        "read wrongly. Look at the sheets before training, and try a pool nearer to the task."
    )


def sure_of_all(fitness: Fitness) -> str:
    share = fitness.very_sure / fitness.available
    if share <= SURE_OF_ALL or fitness.rule == "margin":
        return ""
    return (
        f"The teacher's confidence exceeds 0.99 on {percent(share)} % of the rows, so it hardly "
        "ranks them: the margin "
        "between its two largest logits does not saturate (--set selection=margin), or take random "
        "rows."
    )


def sinks(fitness: Fitness) -> str:
    even = fitness.available / len(fitness.classes)
    found = [c for c in fitness.classes if c.rows >= SINK * even]
    if not found:
        return ""
    named = f"Class{'es' if len(found) > 1 else ''} {ranges([c.label for c in found])}"
    share = percent(sum(c.rows for c in found) / fitness.available)
    return (
        f"{named}: {share} % of the rows, three times an even share or more. Such a class is often "
        "the teacher's "
        "answer to what it does not know: look at what is taken for it, and keep a rule with "
        "quotas."
    )


def poor_classes(fitness: Fitness) -> str:
    """More images of these classes; or a smaller budget, if that would help; or another rule, if
    one does better.
    """
    poor = fitness.in_state(MISSING, STARVED)
    if not poor:
        return ""
    names = f"class{'es' if len(poor) > 1 else ''} {ranges(sorted(c.label for c in poor))}"
    options = [f"add images that look like {names} to the pool"]
    ratio = largest_ratio(fitness)
    if ratio and ratio < fitness.own.ratio:
        options.append(
            f"select less: up to --set selection.ratio={short(ratio)} confident rows fill every "
            "quota"
        )
    if balance_helps(fitness):
        options.append(
            "give each class a quota: --set selection=balanced leaves fewer classes short at this "
            "budget"
        )
    return f"{names[0].upper()}{names[1:]}: " + ", or ".join(options) + "."


def largest_ratio(fitness: Fitness) -> float:
    """Up to this ratio each class has a fair share of confident rows; rounded down to two digits.
    0: at none.
    """
    share = min(c.confident for c in fitness.classes) * len(fitness.classes) / fitness.available
    if not share:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(share)) - 1)
    return min(1.0, float(f"{math.floor(share / unit) * unit:.2g}"))


def balance_helps(fitness: Fitness) -> bool:
    """Whether quotas would leave fewer classes below STARVED_TAKEN of their share than the recipe's
    rule does.
    """
    choices, least = fitness.at_own_budget(), STARVED_TAKEN * fitness.fair
    short_of = {rule: sum(n < least for n in choice.counts) for rule, choice in choices.items()}
    return short_of.get("balanced", len(fitness.classes)) < short_of[fitness.rule]


def many_copies(fitness: Fitness) -> str:
    found = fitness.copies
    copies, blank = found.exact + found.near, found.blank
    said = []
    if copies > MANY_COPIES * found.looked_at:
        said.append(
            f"{percent(copies / found.looked_at)} % of the rows repeat an earlier one: drop the "
            "copies before "
            "scoring, they cost time and weight (the list is in duplicates.csv)"
        )
    if blank > MANY_BLANK * found.looked_at:
        said.append(
            f"{percent(blank / found.looked_at)} % of the rows are of one colour: drop them"
        )
    return f"{'; '.join(said)}." if said else ""


def many_set_aside(fitness: Fitness) -> str:
    files = sum(fitness.set_aside.values())
    if files <= MANY_SET_ASIDE * (fitness.rows + files):
        return ""
    reason, count = max(fitness.set_aside.items(), key=lambda item: item[1])
    return (
        f"{files:,} files of the pool are set aside, most of them ({count:,}) because: "
        f"{reason}. Is that meant?"
    )


def small_budget(fitness: Fitness) -> str:
    if fitness.fair >= 1:
        return ""
    return (
        f"The budget, {counted(fitness.own.rows, 'row')}, is smaller than the number of "
        "classes: raise it."
    )


JUDGES = (
    weak_teacher,
    shifted,
    sure_of_nothing,
    small_budget,
    poor_classes,
    sinks,
    sure_of_all,
    many_copies,
    many_set_aside,
)


def ranges(labels: list[int]) -> str:
    """ "0 to 4, 6, 8 to 9"; of very many the first few."""
    runs: list[list[int]] = []
    for label in labels:
        if runs and label == runs[-1][-1] + 1:
            runs[-1].append(label)
        else:
            runs.append([label])
    said = [f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    return ", ".join(said) if len(said) <= 12 else f"{', '.join(said[:12])} and others"


def counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def percent(share: float) -> str:
    """One digit below ten, so that 0.4 % is not 0."""
    return f"{100 * share:.1f}" if share < 0.1 else f"{100 * share:.0f}"


def short(ratio: float) -> str:
    return f"{ratio:.3g}"


def levels(means: tuple[float, ...]) -> str:
    return ", ".join(f"{mean:.2f}" for mean in means)
