"""A search of 16 trials: the platform, Tune as Ray's guide writes it, and Optuna in one process.

All run the same trials of search_spaces/digits.py, drawn by Optuna's random sampler after the
default, to their last step and with six evaluations each. Optuna's side is the bare loop with the
teacher's answers in memory; the bare loop on all cores, which does not evaluate, is what the
hardware allows, and once more it evaluates as all do. Ray runs and
the pool is scored beforehand; processes that trials run in start within a search. Ray's guide is
followed once: it is far from the others.
"""

from statistics import fmean, median

import optuna

from benchmarks.measuring.bare import BareLoop, BareProcesses
from benchmarks.measuring.digits import inputs_storage, recipe
from benchmarks.measuring.figures import Bench, Check, Found, quotient, seconds, seconds_of
from benchmarks.measuring.ray_way import tune_cells
from dfkd import recipes
from dfkd.execution.compute import Compute
from dfkd.execution.executor import Executor
from dfkd.execution.ray_executor import ray_executor
from dfkd.experiment import Cell
from dfkd.reporting.console import Console
from dfkd.seeding import Block, use_deterministic
from dfkd.storage import layout, open_storage
from dfkd.sweeps.context import TrialContext
from dfkd.sweeps.options import SearchOptions
from dfkd.sweeps.search_space import SearchSpace
from dfkd.sweeps.searching import search_trials
from dfkd.sweeps.trial import Trial
from dfkd.sweeps.variants import Change

ROUNDS, TRIALS, SEED = 3, 16, 0
SPACE, BLOCK = "search_spaces.digits", Block(seed=1000)
NEVER = 10**6  # evaluations: halving would begin after so many, so that no trial is stopped
PLATFORM, RAY, OPTUNA, BARE = "platform", "Ray's guide", "Optuna alone", "bare loop on all cores"
EVALUATED = "bare loop on all cores, with the evaluations"


def measure(bench: Bench) -> Found:
    use_deterministic(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    first = Cell(experiment=recipe(bench), block=BLOCK)
    compute = Compute(storage=inputs_storage(bench))
    with ray_executor([first], compute, Console(quiet=True)) as executor:
        searches = Searches(bench, executor, first)
        with BareProcesses(executor.inputs(first)) as bare:
            bare.train(searches.cells[:2])  # not timed: it starts the processes
            sides = {
                PLATFORM: searches.platform,
                BARE: lambda: bare.seconds(searches.cells),
                EVALUATED: lambda: bare.seconds(searches.cells, evaluate=True),
                OPTUNA: searches.optuna,
            }
            taken = bench.in_turn(ROUNDS, sides)
        taken |= bench.in_turn(1, {RAY: searches.ray})
    platform = taken[PLATFORM]
    figures = [
        *(seconds(name, values) for name, values in taken.items()),
        *(
            quotient(f"speed: {PLATFORM} / {n}", taken[n], platform)
            for n in (BARE, EVALUATED, OPTUNA)
        ),
        quotient(f"speed: {PLATFORM} / {RAY}", taken[RAY], [median(platform)]),
    ]
    return Found(figures=figures, checks=searches.checks())


class Searches:
    """The same search by several means; each returns the seconds that it took."""

    def __init__(self, bench: Bench, executor: Executor, first: Cell) -> None:
        self.bench, self.executor, self.count = bench, executor, bench.size(TRIALS, 2)
        self.first, self.mapped = first, executor.inputs(first)
        self.inputs = self.mapped.open()
        self.change = Change.of(first.experiment, recipes.digits()) if bench.quick else None
        self.space = self._context(Compute(storage=inputs_storage(bench)))
        self.cells = self._cells()
        self.searched = list[list[Trial]]()
        self.optuna_probes, self.ray_reports = list[float](), list[dict[str, float]]()

    def platform(self) -> float:
        """Search as `python -m platform.sweep` does, into an empty storage."""
        storage = open_storage(self.bench.folder / f"search-{len(self.searched)}")
        context = self._context(Compute(storage=storage))
        return seconds_of(lambda: self.searched.append(self._search(context)))

    def _context(self, compute: Compute) -> TrialContext:
        return TrialContext(
            space=SearchSpace(module=SPACE, change=self.change),
            block=BLOCK,
            run_context=self.executor.run_context,
            compute=compute,
        )

    def _search(self, context: TrialContext) -> list[Trial]:
        return search_trials(
            context,
            layout.sweep("sweep16"),
            self.mapped,
            Console(quiet=True),
            SearchOptions(trials=self.count, seed=SEED, sampler="random"),
            groups=self.executor.groups,
            evaluations=NEVER,
        )

    def _study(self) -> optuna.Study:
        """Return Optuna's study of the trials, of which the first is the default."""
        sampler = optuna.samplers.RandomSampler(seed=SEED)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.enqueue_trial(dict(self.space.space.first_trial().params))
        return study

    def _cells(self) -> list[Cell]:
        study = self._study()
        made = [self.space.ask(study.ask()) for _ in range(self.count)]
        return [Cell(experiment=experiment, block=BLOCK) for experiment in made]

    def optuna(self) -> float:
        """Let Optuna search with the bare loop in this process, on one thread."""
        self.optuna_probes.clear()

        def objective(trial: optuna.Trial) -> float:
            experiment, probe = self.space.ask(trial), 0.0
            loop = BareLoop(Cell(experiment=experiment, block=BLOCK), self.inputs)
            for step in experiment.schedule.evaluation_steps():
                loop.advance(step)
                probe = loop.probe()
                trial.report(probe, step)
            self.optuna_probes.append(probe)
            return probe

        return seconds_of(lambda: self._study().optimize(objective, n_trials=self.count))

    def ray(self) -> float:
        """Let Tune run the same trials, a process and a live teacher each."""
        folder = self.bench.folder / "tune"

        def search() -> None:
            self.ray_reports = tune_cells(self.cells, self.inputs, folder)

        return seconds_of(search)

    def checks(self) -> list[Check]:
        """The same trials took the same steps and learned the same."""
        steps = self.first.experiment.schedule.steps
        reached = {trial.step for trials in self.searched for trial in trials}
        reached |= {int(reported["step"]) for reported in self.ray_reports}
        probes = [trial.value or 0.0 for trial in self.searched[-1]]
        apart = fmean(reported["probe"] for reported in self.ray_reports) - fmean(probes)
        return [
            Check(claim="same steps in all trials", holds=reached == {steps}, seen=f"{reached}"),
            Check(
                claim=f"{PLATFORM} and {OPTUNA}: the same probes to the last bit",
                holds=probes == self.optuna_probes,
                seen=f"{len(probes)} trials",
            ),
            Check(
                claim=f"{PLATFORM} and {RAY}: mean probes within 0.03",
                holds=abs(apart) < 0.03,
                seen=f"{apart:+.4f}",
            ),
        ]
