"""The search: OptunaSearch with a journal, which tells stopped trials as pruned.

Journal and ledger are the truth; Optuna's own storage is a view for optuna-dashboard, rebuilt by
each call, and Tune's state is thrown away.
"""

import contextlib
import warnings
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from ray.tune.search.optuna import OptunaSearch

from dfkd.storage import layout
from dfkd.storage.lease import Say, log
from dfkd.storage.ledger import Ledger
from dfkd.sweeps.context import TrialContext
from dfkd.sweeps.costs import cost_of
from dfkd.sweeps.journal import Journal
from dfkd.sweeps.options import SearchOptions
from dfkd.sweeps.samplers import sampler_of
from dfkd.sweeps.trial import Trial
from dfkd.sweeps.trials import config_of, point_in
from dfkd.training.cells import outcome_of
from dfkd.training.jobs import Job, look_up
from dfkd.training.measures import judged


class DefineByRun:
    """A space as OptunaSearch takes it: it is run for its suggestions, its experiment dropped."""

    def __init__(self, context: TrialContext) -> None:
        self.context = context

    def __call__(self, trial: Any) -> None:
        self.context.ask(trial)


class _Live(NamedTuple):
    """A trial in progress, and as Optuna has it: None where the space does not make it."""

    trial: Trial
    asked: optuna.Trial | None


class SweepSearch(OptunaSearch):
    """OptunaSearch with a journal, from which it knows the trials of earlier, interrupted calls.

    Nothing is known in advance where trials are asked for in batches: the search is replayed from
    its start, and finished cells are read from the ledger. run_id: of the sweep in MLflow, "" where
    it has none.
    """

    def __init__(
        self,
        context: TrialContext,
        journal: Journal,
        view: Path,
        options: SearchOptions,
        *,
        say: Say = log,
        run_id: str = "",
    ) -> None:
        self.context, self.journal, self.options, self.say = context, journal, options, say
        # why no more trials are asked for: a full disk, say, or the default's own code
        self.stopped: OSError | ValueError | None = None
        self._told = 0
        self._live: dict[str, _Live] = {}  # by Tune's id, trials that were not told yet
        self._defaults: list[Trial] = []  # the default as it is, while it is to be asked for
        self._ends: dict[str, dict[str, Any] | None] = {}
        self._points: defaultdict[str, list[dict[str, float]]] = defaultdict(list)
        known = [] if options.batch else journal.read()
        view.parent.mkdir(parents=True, exist_ok=True)
        view.unlink(missing_ok=True)  # rebuilt from the journal
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        # OptunaSearch has no public way to add trials that were computed before: `_ot_study` is
        # its own. A test fails when it is gone
        self._ot_study: optuna.Study  # type: ignore[assignment]
        super().__init__(
            space=DefineByRun(context),
            metric="probe" if options.minimise is None else ["probe", options.minimise],
            mode="max" if options.minimise is None else ["max", "min"],
            # a resumed search must not draw again what an earlier call has drawn
            sampler=sampler_of(options.sampler, options.seed + len(known)),
            study_name=view.parent.name,
            storage=JournalStorage(JournalFileBackend(str(view))),
        )
        self._say_what_it_is(run_id)
        self._next = max(1, len(known))
        self._recall(known)

    def _say_what_it_is(self, run_id: str) -> None:
        """Note on Optuna's study, for optuna-dashboard, what it searches and where the rest is."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            names = ["probe"] if self.options.minimise is None else ["probe", self.options.minimise]
            self._ot_study.set_metric_names(names)
        facts = {"space": self.context.space.module, "storage": str(self.context.compute.storage)}
        for name, value in {**facts, "mlflow_run_id": run_id}.items():
            if value:
                self._ot_study.set_user_attr(name, value)

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing for Tune to write to disk: the journal is what the next call reads."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Write nothing, for the same reason."""

    def _recall(self, known: list[Trial]) -> None:
        """Tell ended trials to Optuna and ask for the others again; the default comes first."""
        for trial in known or [self.context.space.first_trial()]:
            if not trial.ended and trial.is_default:
                self._defaults.append(trial)
            elif not trial.ended:
                params = dict(trial.params)
                self._ot_study.enqueue_trial(params, user_attrs={"number": trial.number})
            elif (told := self._as_optuna(trial)) is not None:
                self._ot_study.add_trial(told)
        self._told = sum(trial.ended for trial in known)

    def _as_optuna(self, trial: Trial) -> optuna.trial.FrozenTrial | None:
        """Return a trial that ended as Optuna has it.

        None for values that lie outside the space by now, and for a default that the space does not
        make: its sampler cannot learn from these.
        """
        if trial.is_default:
            return None
        asked = optuna.trial.FixedTrial(dict(trial.params))
        outcome = Ledger(self.context.compute.storage).read(trial.cell)
        points = [p for p in outcome.points if p["step"] <= trial.step] if outcome else []
        try:
            with contextlib.suppress(optuna.TrialPruned):
                self.context.ask(asked)
            return optuna.trial.create_trial(
                state=TrialState.PRUNED if trial.state == "pruned" else TrialState.COMPLETE,
                values=self._values(trial),
                params=asked.params,
                distributions=asked.distributions,
                intermediate_values=self._on_the_way(points),
                user_attrs={"number": trial.number, "cell": trial.cell, "state": trial.state},
            )
        except ValueError:
            return None

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Return the next trial for Tune; None until trials in progress, or their batch, end."""
        try:
            return self._suggested(trial_id)
        except OSError as error:  # Tune would log it and lose the cause
            self.stopped = self.stopped or error
            return cast(dict[str, Any], self.FINISHED)

    def _suggested(self, trial_id: str) -> dict[str, Any] | None:
        while self._told < self.options.trials and self.stopped is None:
            if len(self._live) >= self._room():
                return None
            trial, asked = self._next_trial()
            if trial.ended:  # the space has pruned it
                self._told += 1
                self.journal.write(trial)
                self._tell_batch()
                continue
            trial = self._with_cell(trial)
            if asked is not None:
                asked.set_user_attr("cell", trial.cell)
            self._say_if_held(trial)
            self._live[trial_id] = _Live(trial, asked)
            self.journal.write(trial)
            return config_of(trial)
        return cast(dict[str, Any], self.FINISHED)  # a word of Tune's: there will be no more

    def _next_trial(self) -> tuple[Trial, optuna.Trial | None]:
        """Return the next trial, and as Optuna has it; one that the space prunes has ended."""
        if self._defaults:
            return self._defaults.pop(), None
        asked = self._ot_study.ask()
        if "number" not in asked.user_attrs:
            asked.set_user_attr("number", self._next)
            self._next += 1
        state = "running"
        try:
            self.context.ask(asked)
        except optuna.TrialPruned:
            state = "pruned"
            asked.set_user_attr("state", state)
            self._ot_study.tell(asked, state=TrialState.PRUNED)
        number = asked.user_attrs["number"]
        return Trial(number=number, params=asked.params, cell="", state=state), asked

    def _with_cell(self, trial: Trial) -> Trial:
        """Return the trial with its cell, and with what its student costs where that counts."""
        job = self._job_of_this_code(trial)
        trial = replace(trial, cell=job.name, measure=self.options.measure)
        if self.options.minimise is None:
            return trial
        costs = {self.options.minimise: cost_of(job.cell.experiment, self.options.minimise)}
        return replace(trial, costs=costs)

    def _job_of_this_code(self, trial: Trial) -> Job:
        """Return a trial's job. Raises ValueError where other code of the user's computed it."""
        job = self.context.job(trial)
        look_up(job, Ledger(self.context.compute.storage))
        return job

    def _say_if_held(self, trial: Trial) -> None:
        """Say that a trial will wait, since its worker has no terminal to say it on."""
        ours = {live.trial.cell for live in self._live.values()}
        holder = Ledger(self.context.compute.storage).lease(trial.cell).holder()
        if holder is not None and trial.cell not in ours:
            self.say(f"trial {trial.number} waits for the cell {trial.cell}: {holder.line()}")

    def _room(self) -> int:
        """Return how many trials may be in progress: a batch, or what is left."""
        left = self.options.trials - self._told
        return left if self.options.batch is None else min(self.options.batch, left)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Keep the point of the curve that a trial reported."""
        self._points[trial_id].append(point_in(result))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell Optuna and the journal how a trial ended, or its whole batch once that has."""
        if isinstance(self.stopped, OSError):
            return
        self._ends[trial_id] = None if error else result
        if result and not error:
            self._points[trial_id].append(point_in(result))  # the last result comes here only
        try:
            self._tell_batch()
        except OSError as error:  # as in `suggest`
            self.stopped = self.stopped or error

    def _tell_batch(self) -> None:
        """Tell how trials ended; where they come in batches, once all of the batch have."""
        if self.options.batch is None or len(self._ends) == self._room():
            for ended in sorted(self._ends, key=lambda name: self._live[name].trial.number):
                self._tell(ended)
            self._ends.clear()

    def _tell(self, trial_id: str) -> None:
        """Tell how a trial ended. One that the scheduler stopped is pruned in both."""
        (trial, asked), result = self._live.pop(trial_id), self._ends[trial_id]
        points = self._points.pop(trial_id, [])
        self._told += 1
        if result is None or result["state"] == "errored":
            if asked is not None:
                self._ot_study.tell(asked, state=TrialState.FAIL)
            self.journal.write(replace(trial, state="errored"))
            if result is not None:
                self._say_fault(trial, result["line"], result["log"])
            return
        state = "pruned" if result["state"] == "running" else result["state"]
        if state == "pruned":
            outcome = outcome_of(
                self._job_of_this_code(trial), state, points, result["time_total_s"]
            )
            Ledger(self.context.compute.storage).write(outcome, None)
        step, value = int(points[-1]["step"]), judged(points[-1], trial.measure)
        ended = replace(trial, state=state, step=step, value=value)
        if asked is not None:
            self._tell_optuna(asked, ended, points)
        self.journal.write(ended)

    def _say_fault(self, trial: Trial, line: str, log: str) -> None:
        """Keep the log of a trial whose code raised an error, and say it in one line.

        The default's ends the search: without it there is nothing to compare a winner with, and all
        trials share most of its code.
        """
        Ledger(self.context.compute.storage).write_error(trial.cell, log)
        line += f"; the whole log is {layout.cell(trial.cell) / layout.ERROR}"
        if trial.number == 0:
            self.stopped = ValueError(
                f"the default could not be computed, so the search stops: {line}"
            )
        else:
            self.say(f"trial {trial.number} failed: {line}")

    def _tell_optuna(
        self, asked: optuna.Trial, ended: Trial, points: list[dict[str, float]]
    ) -> None:
        for step, probe in self._on_the_way(points).items():
            asked.report(probe, step)
        asked.set_user_attr("state", ended.state)
        if ended.state == "pruned":
            self._ot_study.tell(asked, state=TrialState.PRUNED)
        else:
            self._ot_study.tell(asked, self._values(ended))

    def _values(self, trial: Trial) -> list[float] | None:
        """Return the objectives of a trial that ended, as Optuna has them; None for none."""
        if trial.value is None:
            return None
        return [trial.value, *trial.costs.values()]

    def _on_the_way(self, points: list[dict[str, float]]) -> dict[int, float]:
        """Return the probe by step; Optuna takes none of two objectives."""
        if self.options.minimise is not None:
            return {}
        return {int(point["step"]): judged(point, self.options.measure) for point in points}
