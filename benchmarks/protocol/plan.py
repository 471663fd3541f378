"""What is computed: the tasks, the methods, the settings that each is tuned over, the rounds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import cast

from benchmarks.protocol.tasks import (
    FashionRest,
    FashionTops,
    Letters,
    ManyBars,
    OtherGlyphs,
    SmallLetters,
)
from dfkd import recipes
from dfkd.data.images.mixing import CutMix
from dfkd.data.pools import TrainingImages, WildGarments
from dfkd.experiment import Cell, Experiment
from dfkd.method.losses import KD, FitNet
from dfkd.method.sampling import ClassBalanced
from dfkd.method.selection import Energy
from dfkd.models.teachers import SupervisedTeacher
from dfkd.seeding import Block

TUNING = Block(seed=7000, draw=70, teacher=70)
NEW, OLD, PLAIN, RANDOM, DFND, ORACLE = "new", "old", "plain", "random", "DFND", "oracle"
MAPS, GENERATOR = "maps", "generator"
CUT_MIX, GENERATOR_LONGER = "cut-mix", "generator, as many steps"


@dataclass(frozen=True, kw_only=True)
class Round:
    """One comparison: a method with its rivals, on blocks that no earlier round has computed.

    before: the method whose gap to the oracle is told beside that of `ours`. blocks: how many
    confirm what was tuned on each task, the last of which is the one of one look; `first` is the
    first of them. chosen: what tuning chose, task -> method -> place in SETTINGS ("What tuning
    chose" in docs/measured.md), for what comes after the round.
    """

    ours: str
    before: str
    rivals: tuple[str, ...]
    blocks: Mapping[str, int]
    first: Block
    chosen: Mapping[str, Mapping[str, int]]
    tunes: bool = True
    longer: int = 1

    def at(self, method: str, old: Experiment, setting: "Setting") -> Experiment:
        """Return a method on a task at a setting, with this round's steps.

        `GENERATOR` keeps the task's steps in every round: its synthesis costs more than what the
        others' further steps do.
        """
        made = at(method, old, setting)
        steps = made.schedule.steps * (1 if method == GENERATOR else self.longer)
        return replace(made, schedule=replace(made.schedule, steps=steps))

    @property
    def methods(self) -> tuple[str, ...]:
        """All that are tuned and confirmed."""
        return (self.ours, *self.rivals, ORACLE)

    def confirming(self, task: str) -> list[Block]:
        """Return the blocks: each has a seed, a pool and a teacher of its own."""
        one = self.first
        return [
            Block(seed=one.seed + i, draw=one.draw + i, teacher=one.teacher + i)
            for i in range(self.blocks[task])
        ]


def _third(*, maps: int, random: int, dfnd: int, generator: int, oracle: int) -> dict[str, int]:
    """Return what the second round's tuning chose for each method of the third."""
    both = {GENERATOR: generator, GENERATOR_LONGER: generator}
    ours = {CUT_MIX: maps, MAPS: maps, PLAIN: 5}
    return ours | {RANDOM: random, DFND: dfnd} | both | {ORACLE: oracle}


ROUNDS = (
    Round(
        ours=NEW,
        before=OLD,
        rivals=(OLD, PLAIN, RANDOM, DFND),
        blocks={"digits": 8, "letters": 6, "fashion": 4, "tops": 4},
        first=Block(seed=7001, draw=71, teacher=71),
        chosen={
            "digits": {NEW: 4, ORACLE: 1},
            "letters": {NEW: 5, ORACLE: 4},
            "fashion": {NEW: 5, ORACLE: 3},
            "tops": {NEW: 5, ORACLE: 5},
        },
    ),
    Round(
        ours=MAPS,
        before=NEW,
        rivals=(NEW, PLAIN, RANDOM, DFND, GENERATOR),
        blocks={"digits": 8, "letters": 6, "fashion": 6, "rest": 6},
        first=Block(seed=7201, draw=271, teacher=271),
        chosen={
            "digits": {MAPS: 5, GENERATOR: 4, ORACLE: 0},
            "letters": {MAPS: 5, GENERATOR: 4, ORACLE: 4},
            "fashion": {MAPS: 3, GENERATOR: 4, ORACLE: 4},
            "rest": {MAPS: 4, GENERATOR: 3, ORACLE: 5},
        },
    ),
    Round(
        ours=CUT_MIX,
        before=MAPS,
        rivals=(MAPS, PLAIN, RANDOM, DFND, GENERATOR, GENERATOR_LONGER),
        blocks={"digits": 8, "letters": 6, "rest": 6, "fashion": 4, "small": 6},
        first=Block(seed=7401, draw=471, teacher=471),
        chosen={
            "digits": _third(maps=5, random=3, dfnd=5, generator=4, oracle=0),
            "letters": _third(maps=5, random=5, dfnd=1, generator=4, oracle=4),
            "rest": _third(maps=4, random=4, dfnd=2, generator=3, oracle=5),
            "fashion": _third(maps=3, random=5, dfnd=5, generator=4, oracle=4),
            "small": _third(maps=5, random=5, dfnd=1, generator=4, oracle=4),
        },
        tunes=False,
        longer=4,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One trial. rate: times the recipe's learning rate; ratio, temperature: as they are."""

    rate: float
    ratio: float
    temperature: float


SETTINGS = (
    Setting(rate=1, ratio=0.1, temperature=4),  # as all recipes stood before
    Setting(rate=4, ratio=0.1, temperature=4),
    Setting(rate=2, ratio=0.2, temperature=4),
    Setting(rate=8, ratio=0.1, temperature=2),
    Setting(rate=8, ratio=0.2, temperature=4),
    Setting(rate=4, ratio=0.4, temperature=2),
)


def new(old: Experiment) -> Experiment:
    """Return the old recipe with rows by energy, unfilled quotas and balanced batches."""
    selection = Energy(ratio=old.selection.ratio, rows=old.selection.rows, fill=False)
    return replace(old, selection=selection, sampling=ClassBalanced())


def maps(old: Experiment) -> Experiment:
    """Return the new recipe with the teacher's maps as explicit knowledge, at published weight."""
    return replace(new(old), explicit=FitNet())


def cut_mix(old: Experiment) -> Experiment:
    """Return the recipe by the teacher's maps, on mixtures to which the teacher answers."""
    return replace(maps(old), views=CutMix())


METHODS: Mapping[str, Callable[[Experiment], Experiment]] = {
    NEW: new,
    MAPS: maps,
    CUT_MIX: cut_mix,
    OLD: lambda old: old,
    PLAIN: lambda old: recipes.balanced(new(old)),
    RANDOM: recipes.random,
    DFND: recipes.dfnd,
    GENERATOR: lambda old: recipes.generator(old, rate=1.0),
    GENERATOR_LONGER: lambda old: recipes.generator(old, rate=1.0),
    ORACLE: recipes.original,
}


def tasks() -> dict[str, Experiment]:
    """Return each task's old recipe."""
    digits, fashion = recipes.digits(), recipes.fashion()
    letters = replace(_with(digits, teacher_steps=800, steps=400), task=Letters(), pool=ManyBars())
    tops = replace(
        _with(fashion, teacher_steps=1_500, steps=500),
        task=FashionTops(),
        pool=WildGarments(rows=30_000),
    )
    rest = replace(tops, task=FashionRest())
    small = replace(letters, task=SmallLetters(), pool=OtherGlyphs())
    of_fashion = {"fashion": fashion, "tops": tops, "rest": rest}
    return {"digits": digits, "letters": letters, **of_fashion, "small": small}


def _with(recipe: Experiment, *, teacher_steps: int, steps: int) -> Experiment:
    teacher = replace(cast(SupervisedTeacher, recipe.teacher), steps=teacher_steps)
    return replace(recipe, teacher=teacher, schedule=replace(recipe.schedule, steps=steps))


def at(method: str, old: Experiment, setting: Setting) -> Experiment:
    """Return a method on a task at a setting.

    The oracle takes all original images, the generator's student all of its images, so the ratio
    does not reach them. DFND's rate, SGD's 0.1, is
    divided by what multiplies the others': the published one is the largest that makes sense.
    """
    changed = replace(old, selection=replace(old.selection, ratio=setting.ratio))
    made = METHODS[method](changed)
    rate = made.schedule.learning_rate
    rate = rate / setting.rate if method == DFND else rate * setting.rate
    return replace(
        made,
        kd=KD(temperature=setting.temperature),
        schedule=replace(made.schedule, learning_rate=rate),
    )


def cell(experiment: Experiment, block: Block) -> Cell:
    """Return the cell; original images are one draw."""
    drawn = not isinstance(experiment.pool, TrainingImages)
    return Cell(experiment=experiment, block=block if drawn else replace(block, draw=0))
