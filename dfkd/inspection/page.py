"""The page of an inspection, whether a pool can teach and why, as one HTML file."""

from html import escape

from dfkd.inspection import figures as fitness_plots
from dfkd.inspection import tables as fitness_tables
from dfkd.inspection.advice import advice
from dfkd.inspection.fitness import (
    CONFIDENT,
    COVERED,
    MISSING,
    STARVED,
    STARVED_CONFIDENT,
    STARVED_TAKEN,
    THIN,
    THIN_CONFIDENT,
    THIN_TAKEN,
    Fitness,
    RuleSheets,
)
from dfkd.inspection.verdict import verdict
from dfkd.reporting.numbers import counted, ranges, share_text
from dfkd.reporting.page import (
    figure,
    folded,
    head,
    listed,
    page,
    paragraph,
    plain_table,
    section,
    table,
)
from dfkd.reporting.sheets import Sheet, column, titled
from dfkd.reporting.style import svg
from dfkd.storage import layout

ROW_CLASS = {MISSING: "worse", STARVED: "worse", THIN: "", COVERED: ""}
READING = {
    "supply": "A log scale. Where the blue dot lies below the line, the budget asks for more "
    "sure examples than the "
    "pool has; where the black bar does, the recipe takes less than a fair share.",
    "confidence": "What the teacher gives to its first class, over all rows that may be "
    "selected. A pool like the "
    "task has the line's shape; the further to the left, the less the teacher knows of it.",
    "taken": "In per cent of a fair share, at the recipe's budget. Orange: fewer rows than a "
    "fair share, blue: more.",
}


def written(fitness: Fitness) -> dict[str, str]:
    """Return the files of an inspection: name -> content."""
    return {layout.PAGE: html(fitness), "classes.csv": fitness_tables.classes_csv(fitness)}


def html(fitness: Fitness) -> str:
    """Return the whole page."""
    drawn = {name: svg(drawing) for name, drawing in fitness_plots.figures(fitness).items()}
    parts = [
        head(
            f"Pool inspection, recipe {fitness.recipe}",
            "Can this pool teach?",
            verdict(fitness),
            fitness_tables.facts(fitness),
        ),
        section("What to do", _todo(fitness)),
        section("Classes", _figure(fitness, "supply", drawn), _classes(fitness)),
        section("How sure the teacher is", _figure(fitness, "confidence", drawn)),
        section("What each rule would take", _figure(fitness, "taken", drawn), _choices(fitness)),
        section("What is taken and what is left", _sheets(fitness)),
        section(
            "The same for the other rules",
            *(folded(s.rule, _sheet_pair(s)) for s in fitness.sheets[1:]),
        ),
        section("Copies and near-duplicates", _copies(fitness)),
        section("Set aside", _set_aside(fitness)),
        section("Evaluation of the selection", _evaluation(fitness)),
        section("Provenance", plain_table(("what", "value"), fitness.facts.items(), "text")),
        section("How to read this", listed(_reading())),
    ]
    return page(f"pool inspection: {fitness.recipe}", parts)


def _todo(fitness: Fitness) -> str:
    lines, thin = advice(fitness), ranges(sorted(c.label for c in fitness.in_state(THIN)))
    if not lines:
        watched = (
            f", and look at what the student makes of the thin classes ({thin})" if thin else ""
        )
        return paragraph(f"Nothing stands in the way: train{watched}.")
    return '<ol class="todo">' + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ol>"


def _figure(fitness: Fitness, name: str, drawn: dict[str, str]) -> str:
    return figure(name, drawn[name], CONCLUSIONS[name](fitness), READING[name])


def _supply(fitness: Fitness) -> str:
    least = min(fitness.classes, key=lambda c: (c.confident, c.label))
    return (
        f"The scarcest is class {least.label}: {counted(least.confident, 'sure row')} for a fair "
        f"share of {fitness.fair:,.0f}; {fitness_tables.uncovered(fitness)}."
    )


def _confidence(fitness: Fitness) -> str:
    said = fitness_tables.teacher(fitness)
    return f"{said[0].upper()}{said[1:]}."


def _taken(fitness: Fitness) -> str:
    """Say which rules starve no class."""
    least = STARVED_TAKEN * fitness.fair
    bad = {rule: sum(n < least for n in c.counts) for rule, c in fitness.at_own_budget().items()}
    good = [rule for rule, count in bad.items() if not count]
    worst = max(bad, key=bad.__getitem__)
    start = f"No class is starved by {', '.join(good)}." if good else "Every rule starves a class."
    if not bad[worst]:
        return start
    return f"{start} Most are starved by {worst}: {bad[worst]} of {len(fitness.classes)}."


CONCLUSIONS = {"supply": _supply, "confidence": _confidence, "taken": _taken}


def _classes(fitness: Fitness) -> str:
    header, rows = fitness_tables.classes(fitness)
    states = [fitness.state(c) for c in fitness_tables.shown_classes(fitness)]
    body = [
        (ROW_CLASS[state], [escape(cell) for cell in row])
        for state, row in zip(states, rows, strict=True)
    ]
    return table([escape(name) for name in header], body, "results") + paragraph(
        fitness_tables.which(fitness)
    )


def _choices(fitness: Fitness) -> str:
    own = plain_table(*fitness_tables.own_choices(fitness))
    every = plain_table(*fitness_tables.choices(fitness))
    each = "".join(
        f"<h3>{escape(rule)}</h3>{plain_table(*fitness_tables.per_class(fitness, rule))}"
        for rule in fitness.rules
    )
    say = (
        f"*: at the recipe's budget of {counted(fitness.own.rows, 'row')}. Evenness: 1 where all "
        "classes have as many rows, 0 where one has all (their entropy over its maximum). Copies: "
        "rows that repeat an earlier row."
    )
    return (
        own
        + paragraph(say)
        + folded("all rules at all ratios", every, printed=True)
        + folded("rows per class, rule and ratio", each + paragraph(fitness_tables.which(fitness)))
    )


def _sheets(fitness: Fitness) -> str:
    say = (
        "For each pseudo-class the image of which the teacher is most sure, the one in the middle "
        "and the one of which it is least sure, with its confidence. Do the taken ones look like "
        "their class to you? Are good ones left?"
    )
    return paragraph(say) + _sheet_pair(fitness.sheets[0])


def _sheet_pair(sheets: RuleSheets) -> str:
    kinds = (("taken", sheets.selected), ("left", sheets.rejected))
    return "".join(
        _sheet(f"{sheets.rule}, {kind}: {counted(sheet.rows, 'row')}", sheet)
        for kind, sheet in kinds
    )


def _sheet(title: str, sheet: Sheet) -> str:
    all_shown = len(sheet.pictures) == len(sheet.counts)
    some = "" if all_shown else f" ({len(sheet.pictures)} of {len(sheet.counts)} classes)"
    return titled(title + some, sheet)


def _copies(fitness: Fitness) -> str:
    c = fitness.copies
    kinds = {
        "exact copies of an earlier row": c.exact,
        "near-duplicates": c.near,
        "of one colour": c.blank,
    }
    body = [
        (kind, f"{count:,}", f"{share_text(count / c.looked_at)} %")
        for kind, count in kinds.items()
    ]
    shown = "".join(column(f"{count}×", pictures) for count, pictures in c.groups)
    say = (
        f"Looked at: {c.looked_at:,} rows. Near: difference hashes that differ in 6 of 64 bits or "
        "fewer, and grey thumbnails that correlate by 0.99 or more: another size, brightness or "
        "compression of the same picture. Crops and mirrored copies are not found; plain or "
        "blurred pictures of two things can count as near: look at the groups. Every such row is "
        "in duplicates.csv."
    )
    sheet = f'<h3>The largest groups</h3><div class="sheet">{shown}</div>' if shown else ""
    return plain_table(("what", "rows", "share"), body) + paragraph(say) + sheet


def _set_aside(fitness: Fitness) -> str:
    if not fitness.set_aside:
        return ""
    rows = sorted(fitness.set_aside.items(), key=lambda item: (-item[1], item[0]))
    return plain_table(("reason", "files"), [(reason, f"{count:,}") for reason, count in rows])


def _evaluation(fitness: Fitness) -> str:
    if fitness.inside is None:
        return ""
    share = share_text(fitness.inside / fitness.available)
    say = (
        f"This pool knows what it drew: {fitness.inside:,} of the {fitness.available:,} rows "
        f"({share} %) show one of the task's classes. Nothing above used that, and no rule may; a "
        "pool of your own does not know it. What shows none of the classes is no waste: a student "
        "learns from the teacher's whole answer."
    )
    header, rows = fitness_tables.evaluation(fitness)
    own = [row for row in rows if row[1].endswith("*")]
    per_class = plain_table(*fitness_tables.evaluation_per_class(fitness))
    return (
        paragraph(say)
        + plain_table(header, own)
        + folded("at all ratios", plain_table(header, rows))
        + f"<h3>{escape(fitness.rule)}, by pseudo-class</h3>"
        + per_class
    )


def _reading() -> tuple[str, ...]:
    return (
        f"sure: the teacher's confidence is {CONFIDENT} or more. fair share: the budget divided by "
        "the classes. sure could fill: how much of a fair share the sure rows could fill.",
        f"{STARVED}: the recipe takes less than {share_text(STARVED_TAKEN)} % of a fair share, or "
        f"the pool has sure rows for less than {share_text(STARVED_CONFIDENT)} % of it. {THIN}: "
        f"less than {share_text(THIN_TAKEN)} %, or sure rows for less than "
        f"{share_text(THIN_CONFIDENT)} %. Measured on digits, one class starved at a time: with "
        "half of its share a class keeps 74 % recall instead of 89, with a quarter 35, with a "
        "tenth 7; with its share filled by unsure rows alone 72. Classes differ, and so do tasks: "
        "a warning, not a forecast.",
        "A pseudo-class is what the teacher answers, not what the image shows: a covered class can "
        "be covered with wrong images. The sheets are there to be looked at.",
        "Nothing was trained and the test set was not read.",
    )
