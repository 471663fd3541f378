"""What an inspection means: can this pool teach this student?"""

from dfkd.inspection.fitness import CONFIDENT, MISSING, STARVED, THIN, ClassFit, Fitness
from dfkd.reporting.numbers import counted, ranges, ratio_text


def verdict(fitness: Fitness) -> str:
    """Say in a sentence or two which classes this pool can teach, which not, and by how much."""
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
    """Describe these classes: one in a sentence; of more the worst with numbers, others by name."""
    if not classes:
        return ""
    budget = f"{fitness.rule} at ratio {ratio_text(fitness.own.ratio)}"
    if len(classes) == 1:
        [c] = classes
        return (
            f"Class {c.label} is {word}: {budget} takes {c.taken:,} of its fair share of "
            f"{fitness.fair:,.0f} rows, and {counted(c.confident, 'row')} of the pool "
            f"{'has' if c.confident == 1 else 'have'} a confidence of {CONFIDENT} or more."
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
