"""What is to be done about a pool: one judge for each thing that may be wrong with it."""

import math

from dfkd.inspection.fitness import MISSING, STARVED, STARVED_TAKEN, Fitness
from dfkd.inspection.untried import MAPS, MIXTURES
from dfkd.reporting.numbers import counted, ranges, ratio_text, share_text

MANY_COPIES = 0.1  # of the rows: a tenth of what is scored and selected is then paid for twice
MANY_BLANK = 0.02  # of the rows: no natural pool has many pictures of one colour
# Of the files: more than stray files, so a whole source is probably not read as it was meant.
MANY_SET_ASIDE = 0.05
# The share of confident rows: below, the pool is far from what the teacher knows, or read wrongly.
SURE_OF_NOTHING = 0.05
SURE_OF_ALL = 0.8  # share of rows above 0.99: confidence then hardly ranks them
# Times an even share of the pool. Of classes that hold as much, on digits (8) and Fashion-MNIST (0
# and 8), 5 to 8 % of the sure rows showed the class; of the other classes' 5 to 66 %, in half of
# them above a third.
SINK = 3.0
# What one class has of the recipe's choice, in fair shares. On digits 1.5 cost nothing, and at
# 2.8 balanced batches won 9 points (docs/measured.md).
UNEVEN = 2.0
MOST_OF_ONE = 0.5  # of a rule's rows: its student hardly learns the other classes
WEAK_TEACHER = 0.5  # validation accuracy: a student seldom exceeds its teacher
# Deviations of the task between the brightness of pool and task: inverted, or scaled otherwise.
SHIFTED = 1.0


def advice(fitness: Fitness) -> list[str]:
    """Say what to do, the most important first; nothing where nothing is wrong."""
    return [text for text in (judge(fitness) for judge in JUDGES) if text]


def weak_teacher(fitness: Fitness) -> str:
    """Advise to mend a teacher that is wrong on half of the validation images or more."""
    accuracy = fitness.profile.accuracy
    if accuracy is None or accuracy >= WEAK_TEACHER:
        return ""
    return (
        f"The teacher is right on {share_text(accuracy)} % of the validation images: mend it first "
        "(teach, with the options of this call, says how good it is; are its classes and its "
        "normalisation those of the task?)."
    )


def shifted(fitness: Fitness) -> str:
    """Ask whether the pool is inverted where its brightness lies far from the task's."""
    shift = fitness.profile.shift
    if shift < SHIFTED:
        return ""
    p = fitness.profile
    return (
        f"The pool's mean brightness ({_levels(p.pool_mean)}) lies {shift:.1f} deviations from the "
        f"task's ({_levels(p.task_mean)}): are its images inverted, or on another background? The "
        "sheets below show it."
    )


def sure_of_nothing(fitness: Fitness) -> str:
    """Advise another pool where the teacher is sure of almost no row."""
    share = sum(c.confident for c in fitness.classes) / fitness.available
    if share >= SURE_OF_NOTHING:
        return ""
    return (
        f"The teacher is confident of {share_text(share)} % of the rows only: this pool is far "
        "from what it knows, or is read wrongly. Look at the sheets before training, and try a "
        "pool nearer to the task."
    )


def sure_of_all(fitness: Fitness) -> str:
    """Advise another rule where the teacher is sure of nearly all rows and so cannot rank them."""
    share = fitness.very_sure / fitness.available
    if share <= SURE_OF_ALL or fitness.rule == "margin":
        return ""
    return (
        f"The teacher's confidence exceeds 0.99 on {share_text(share)} % of the rows, so it hardly "
        "ranks them: the margin between its two largest logits does not saturate (--set "
        "selection=margin), or take random rows."
    )


def sinks(fitness: Fitness) -> str:
    """Warn of classes that hold far more than an even share of the pool."""
    even = fitness.available / len(fitness.classes)
    found = [c for c in fitness.classes if c.rows >= SINK * even]
    if not found:
        return ""
    named = f"Class{'es' if len(found) > 1 else ''} {ranges([c.label for c in found])}"
    share = share_text(sum(c.rows for c in found) / fitness.available)
    return (
        f"{named}: {share} % of the rows, three times an even share or more. Such a class is often "
        "the teacher's answer to what it does not know: look at what is taken for it, and keep a "
        "rule with quotas."
    )


def uneven(fitness: Fitness) -> str:
    """Advise balanced batches where one class has far more than its share of the recipe's rows."""
    counts = fitness.own.counts
    times = max(counts) / fitness.fair
    if times < UNEVEN or fitness.even_batches:
        return ""
    return (
        f"{fitness.rule} takes {counted(max(counts), 'row')} of class {counts.index(max(counts))}, "
        f"{times:.1f} times its fair share: show all classes equally often (--set "
        "sampling=class_balanced), leave quotas unfilled and rank by energy (--set "
        "selection=energy selection.fill=false)."
    )


def rules_of_one_class(fitness: Fitness) -> str:
    """Warn of rules that take most of their rows of one class."""
    found = [
        (rule, choice.counts.index(max(choice.counts)), max(choice.counts) / choice.rows)
        for rule, choice in fitness.at_own_budget().items()
        if max(choice.counts) > MOST_OF_ONE * choice.rows
    ]
    if not found:
        return ""
    said = [f"{rule} ({share_text(share)} % of class {label})" for rule, label, share in found]
    return (
        f"At this budget {', '.join(said)} would take most rows of one class: the student would "
        "hardly see the others. Keep to a rule with quotas."
    )


def poor_classes(fitness: Fitness) -> str:
    """Advise more images of starved classes, a smaller budget or another rule, where that helps."""
    poor = fitness.in_state(MISSING, STARVED)
    if not poor:
        return ""
    names = f"class{'es' if len(poor) > 1 else ''} {ranges(sorted(c.label for c in poor))}"
    options = [f"add images that look like {names} to the pool"]
    ratio = largest_ratio(fitness)
    if ratio and ratio < fitness.own.ratio:
        options.append(
            f"select less: up to --set selection.ratio={ratio_text(ratio)} confident rows fill "
            "every quota"
        )
    if balance_helps(fitness):
        options.append(
            "give each class a quota: --set selection=balanced leaves fewer classes short at this "
            "budget"
        )
    return f"{names[0].upper()}{names[1:]}: " + ", or ".join(options) + "."


def largest_ratio(fitness: Fitness) -> float:
    """Return the ratio up to which each class has a fair share of confident rows.

    Rounded down to two digits; 0 where there is none.
    """
    share = min(c.confident for c in fitness.classes) * len(fitness.classes) / fitness.available
    if not share:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(share)) - 1)
    return min(1.0, float(f"{math.floor(share / unit) * unit:.2g}"))


def balance_helps(fitness: Fitness) -> bool:
    """Return whether quotas would leave fewer classes starved than the recipe's rule does."""
    choices, least = fitness.at_own_budget(), STARVED_TAKEN * fitness.fair
    short_of = {rule: sum(n < least for n in choice.counts) for rule, choice in choices.items()}
    return short_of.get("balanced", len(fitness.classes)) < short_of[fitness.rule]


def many_copies(fitness: Fitness) -> str:
    """Advise to drop copies and blank rows where there are many."""
    found = fitness.copies
    copies, blank = found.exact + found.near, found.blank
    said = []
    if copies > MANY_COPIES * found.looked_at:
        said.append(
            f"{share_text(copies / found.looked_at)} % of the rows repeat an earlier one: drop the "
            "copies before scoring, they cost time and weight (the list is in duplicates.csv)"
        )
    if blank > MANY_BLANK * found.looked_at:
        said.append(
            f"{share_text(blank / found.looked_at)} % of the rows are of one colour: drop them"
        )
    return f"{'; '.join(said)}." if said else ""


def many_set_aside(fitness: Fitness) -> str:
    """Ask about files that are not used, where they are more than a few."""
    files = sum(fitness.set_aside.values())
    if files <= MANY_SET_ASIDE * (fitness.rows + files):
        return ""
    reason, count = max(fitness.set_aside.items(), key=lambda item: item[1])
    return (
        f"{files:,} files of the pool are set aside, most of them ({count:,}) because: {reason}. "
        "Is that meant?"
    )


def small_budget(fitness: Fitness) -> str:
    """Advise a larger budget where it is smaller than the number of classes."""
    if fitness.fair >= 1:
        return ""
    return (
        f"The budget, {counted(fitness.own.rows, 'row')}, is smaller than the number of classes: "
        "raise it."
    )


def teachers_maps(fitness: Fitness) -> str:
    """Name the teacher's maps where the recipe lacks them, with what they were worth."""
    if MAPS not in fitness.untried:
        return ""
    return (
        "The recipe does without the teacher's maps: in the place of pooled features they brought "
        "1.2 to 4.9 points on three of the protocol's tasks and 0.7, undecided, on digits (--set "
        "explicit=fit_net explicit.weight=100; docs/measured.md, the second round). They ask the "
        "teacher in every step."
    )


def mixtures(fitness: Fitness) -> str:
    """Name mixtures for longer training, with what they were worth."""
    if MIXTURES not in fitness.untried:
        return ""
    return (
        "For longer training: at four times the steps mixtures of images, beside the teacher's "
        "maps, brought 0.8 to 2.0 points on three of the protocol's tasks and nothing that can be "
        "told on two (--set views=cut_mix; docs/measured.md, the third round)."
    )


JUDGES = (
    weak_teacher,
    shifted,
    sure_of_nothing,
    small_budget,
    poor_classes,
    uneven,
    rules_of_one_class,
    sinks,
    sure_of_all,
    many_copies,
    many_set_aside,
    teachers_maps,
    mixtures,
)


def _levels(means: tuple[float, ...]) -> str:
    """Return grey levels of channels in two digits."""
    return ", ".join(f"{mean:.2f}" for mean in means)
