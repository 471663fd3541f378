"""The search: OptunaSearch that keeps a journal, tells stopped trials as pruned and can ask in
fixed batches.

The journal is one small file per trial below the sweep's folder. Together with the ledger it is the
truth; Optuna's own storage is a view for optuna-dashboard, and Tune's state is thrown away.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch

from dfkd.experiment import Experiment
from dfkd.identity import Scalar
from dfkd.storage import layout
from dfkd.storage.files import write_json
from dfkd.storage.ledger import Ledger
from dfkd.sweeps.trials import TrialContext
from dfkd.training.cells import Job, look_up, outcome_of
from dfkd.user_modules import load

STARTUP = 8  # trials that are drawn at random before the sampler models anything


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """A trial as the journal keeps it. `value` is the probe at its last step."""

    number: int
    params: dict[str, Scalar]
    cell: str
    state: str  # "running", or how it ended: "finished", "pruned", "diverged", "errored"
    step: int = 0
    value: float | None = None

    @property
    def ended(self) -> bool:
        return self.state not in ("running", "errored")


class Journal:
    """The trials of one sweep, a file each: written when a trial is asked for, and again when it
    ends.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, record: TrialRecord) -> None:
        write_json(self.folder / layout.trial(record.number), asdict(record))

    def read(self) -> list[TrialRecord]:
        files = sorted(self.folder.glob("*.json")) if self.folder.exists() else []
        return [TrialRecord(**json.loads(file.read_text())) for file in files]

    def clear(self) -> None:
        for file in self.folder.glob("*.json"):
            file.unlink()


def recorded_experiments(
    space: str,
    journal: Journal,
    change: Callable[[Experiment], Experiment] | None = None,
    fixed: Mapping[str, Scalar] = MappingProxyType({}),
) -> Iterator[Experiment]:
    """Yield what the space makes now of the parameters of each trial that was begun.

    A trial of which it makes nothing any more is left out. change, fixed: as in `TrialContext`.
    """
    ask = load(space, "space", "search_spaces")
    for record in journal.read():
        with contextlib.suppress(ValueError):
            experiment = ask(optuna.trial.FixedTrial({**fixed, **record.params}))
            yield experiment if change is None else change(experiment)


class DefineByRun:
    """A space for OptunaSearch: runs it for its suggestions and drops the experiment that it
    returns.
    """

    def __init__(self, context: TrialContext) -> None:
        self.context = context

    def __call__(self, trial: Any) -> None:
        self.context.ask(trial)


class SweepSearch(OptunaSearch):
    """OptunaSearch with a journal, from which it knows the trials of earlier, interrupted calls.

    batch: None asks as soon as a core is free. A number asks for that many and tells their results
    together, in the
    order of their numbers: what is asked then depends on no timing. Nothing is known in advance
    then; the search is replayed from its start, and finished cells are told from the ledger.
    """

    def __init__(
        self,
        context: TrialContext,
        journal: Journal,
        view: Path,
        *,
        seed: int,
        total: int,
        batch: int | None,
    ) -> None:
        self.context, self.journal, self.total, self.batch = context, journal, total, batch
        self._told = 0
        self._numbers: dict[str, int] = {}  # trial id -> number, of trials that were not told yet
        self._ends: dict[str, dict[str, Any] | None] = {}
        self._points: defaultdict[str, list[dict[str, float]]] = defaultdict(list)
        known = [] if batch else journal.read()
        view.unlink(missing_ok=True)  # rebuilt from the journal
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._ot_study: optuna.Study  # type: ignore[assignment]  # made by OptunaSearch
        super().__init__(
            space=DefineByRun(context),
            metric="probe",
            mode="max",
            # a resumed search must not draw again what an earlier call has drawn
            sampler=optuna.samplers.TPESampler(seed=seed + len(known), n_startup_trials=STARTUP),
            study_name=view.parent.name,
            storage=JournalStorage(JournalFileBackend(str(view))),
        )
        self._next = len(known)
        self._recall(known)

    def __getstate__(self) -> dict[str, Any]:
        """Tune writes its own state to disk, search included; ours is the journal, and theirs is
        never read.
        """
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing: see above."""

    def _recall(self, known: list[TrialRecord]) -> None:
        """Ended trials are told to Optuna, interrupted and errored ones asked for again. The
        default comes first.
        """
        if not known:
            self._ot_study.enqueue_trial(self.context.default)
        for record in known:
            if record.ended:
                self._ot_study.add_trial(self._as_optuna(record))
                self._told += 1
            else:
                self._ot_study.enqueue_trial(record.params, user_attrs={"number": record.number})

    def _as_optuna(self, record: TrialRecord) -> optuna.trial.FrozenTrial:
        trial = optuna.trial.FixedTrial(record.params)
        self.context.ask(trial)
        outcome = Ledger(self.context.compute.storage).read(record.cell)
        points = [p for p in outcome.points if p["step"] <= record.step] if outcome else []
        return optuna.trial.create_trial(
            state=TrialState.PRUNED if record.state == "pruned" else TrialState.COMPLETE,
            value=record.value,
            params=trial.params,
            distributions=trial.distributions,
            intermediate_values={int(point["step"]): point["probe"] for point in points},
            user_attrs={"number": record.number, "cell": record.cell, "state": record.state},
        )

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        if self.batch is not None and len(self._numbers) == self._batch_size():
            return None  # until the whole batch has ended
        params = super().suggest(trial_id)
        assert params is not None  # OptunaSearch always has one
        trial = self._ot_trials[trial_id]
        if "number" not in trial.user_attrs:
            trial.set_user_attr("number", self._next)
            self._next += 1
        cell = self._known_to_be_of_this_code(params).name
        trial.set_user_attr("cell", cell)
        self._numbers[trial_id] = trial.user_attrs["number"]
        self.journal.write(
            TrialRecord(number=self._numbers[trial_id], params=params, cell=cell, state="running")
        )
        return params

    def _known_to_be_of_this_code(self, params: dict[str, Any]) -> Job:
        """The trial's job. ValueError where other code of the user's computed its cell."""
        job = self.context.trial(params)
        look_up(job, Ledger(self.context.compute.storage))
        return job

    def _batch_size(self) -> int:
        return min(self.batch or 1, self.total - self._told)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        self._points[trial_id].append(_point(result))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        self._ends[trial_id] = None if error else result
        if result and not error:
            self._points[trial_id].append(_point(result))  # the last result comes here only
        if self.batch is None or len(self._ends) == self._batch_size():
            for ended in sorted(self._ends, key=self._numbers.__getitem__):
                self._tell(ended)
            self._ends.clear()

    def _tell(self, trial_id: str) -> None:
        """To Optuna, and to the journal. A trial that the scheduler stopped is pruned in both."""
        trial, result = self._ot_trials[trial_id], self._ends[trial_id]
        number, points = self._numbers.pop(trial_id), self._points.pop(trial_id, [])
        self._told += 1
        cell, params = trial.user_attrs["cell"], trial.params
        if result is None:
            self._ot_study.tell(trial, state=TrialState.FAIL)
            self.journal.write(
                TrialRecord(number=number, params=params, cell=cell, state="errored")
            )
            return
        state = "pruned" if result["state"] == "running" else result["state"]
        for point in points:
            trial.report(point["probe"], int(point["step"]))
        trial.set_user_attr("state", state)
        last = points[-1]
        job = self._known_to_be_of_this_code(params)
        if state == "pruned":
            Ledger(self.context.compute.storage).write(
                outcome_of(job, state, points, result["time_total_s"]), None
            )
            self._ot_study.tell(trial, state=TrialState.PRUNED)
        else:
            self._ot_study.tell(trial, last["probe"])
        step, value = int(last["step"]), last["probe"]
        self.journal.write(
            TrialRecord(
                number=number, params=params, cell=cell, state=state, step=step, value=value
            )
        )


def _point(result: dict[str, Any]) -> dict[str, float]:
    """The point of the curve in a trial's result, which Tune has flattened."""
    return {
        name.removeprefix("point/"): value
        for name, value in result.items()
        if name.startswith("point/")
    }


class BatchedHalving(FIFOScheduler):
    """Successive halving whose decisions depend on no timing.

    At a rung (an evaluation's number) a trial goes on if it is among the best 1/`reduction` of the
    trials of EARLIER batches at the same rung; the first batch runs to its end. Trials that run
    side by side are never compared, so the outcome is the same on any number of cores, at any speed
    and after any failure.
    """

    def __init__(self, rungs: Sequence[int], batch: int, reduction: int = 2) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.rungs, self.batch, self.reduction = set(rungs), batch, reduction
        self._order: dict[str, int] = {}
        self._seen: defaultdict[int, dict[int, float]] = defaultdict(
            dict
        )  # rung -> trial's number -> value

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        self._order[trial.trial_id] = len(self._order)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        rung, number = result["training_iteration"], self._order[trial.trial_id]
        if rung not in self.rungs:
            return str(TrialScheduler.CONTINUE)
        self._seen[rung][number] = result["probe"]
        first = number - number % self.batch
        earlier = sorted(
            (value for n, value in self._seen[rung].items() if n < first), reverse=True
        )
        stays = (
            not earlier
            or result["probe"] >= earlier[max(0, math.ceil(len(earlier) / self.reduction) - 1)]
        )
        return str(TrialScheduler.CONTINUE if stays else TrialScheduler.STOP)
