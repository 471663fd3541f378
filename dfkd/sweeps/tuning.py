"""Ray Tune, set up for warm trials: reused processes, our search, and no state of its own."""

import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ray
from ray import cloudpickle, tune
from ray.exceptions import RayTaskError
from ray.tune.execution import tune_controller
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from dfkd.execution.compute import Compute
from dfkd.execution.group import Group
from dfkd.execution.session import slots
from dfkd.execution.waits import for_cells
from dfkd.execution.watchdog import Watchdog
from dfkd.reporting.failures import in_a_line
from dfkd.storage import layout
from dfkd.storage.lease import Say
from dfkd.storage.scratch import scratch_folder
from dfkd.sweeps.halving import BatchedHalving
from dfkd.sweeps.options import SearchOptions
from dfkd.sweeps.search import SweepSearch
from dfkd.sweeps.trials import CellTrial, GroupTrial, trial_in
from dfkd.training.inputs import MappedInputs

ATTEMPTS = 3
ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no CSV, JSON and TensorBoard copies of the ledger
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours: it ends the sweep in order
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # Tune's state is thrown away
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths in a user's space stay those of the driver
    "RAY_AIR_NEW_OUTPUT": "0",  # with verbose=0: no walls of boxes
}


class OnEnd(tune.Callback):
    """Calls a function with the last result of each trial that ended; None for an error.

    say: told of long waits and lost workers.
    """

    def __init__(
        self, function: Callable[[dict[str, Any] | None], None], compute: Compute, say: Say
    ) -> None:
        self.function, self.say = function, say
        self.trials: list[Trial] = []  # as Tune has them
        self.begun = dict[str, float]()  # by Tune's id
        self.watchdog = Watchdog(say, lambda: for_cells(self._asked(), compute))

    def _asked(self) -> dict[str, float]:
        """Return the cells of the trials that have not ended, and when each began."""
        left = [t for t in self.trials if t.status in (Trial.PENDING, Trial.RUNNING)]
        now = time.monotonic()
        return {trial_in(t.config).cell: self.begun.get(t.trial_id, now) for t in left}

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing for Tune to write to disk: its state is never read."""
        return {}

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Let the watchdog look; Tune comes by ten times a second."""
        self.trials = trials
        self.watchdog.look()

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Note when it began."""
        self.begun[trial.trial_id] = time.monotonic()

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: Any, **info: Any
    ) -> None:
        """Note that something moves."""
        self.watchdog.ended()

    def on_trial_recover(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Say why it is tried again: Tune's own message, a traceback, is not shown."""
        self.watchdog.ended()
        self.say(f"the cell {trial_in(trial.config).cell} is tried again: {_why_it_ended(trial)}")

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Pass on the last result."""
        self.watchdog.ended()
        self.function(trial.last_result)

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Pass on that there is none."""
        self.watchdog.ended()
        self.function(None)


def _why_it_ended(trial: Trial) -> str:
    """Return why the last attempt of a trial came to nothing."""
    file = trial.pickled_error_file  # Tune has written it in this process, a moment ago
    error = cloudpickle.loads(Path(file).read_bytes()) if file else None
    return in_a_line(error) if isinstance(error, RayTaskError) else "its worker was lost"


def tune_trials(
    search: SweepSearch,
    trials: int,
    evaluations: int,
    mapped: MappedInputs,
    compute: Compute,
    on_end: OnEnd,
    groups: Callable[[], Sequence[Group]],
) -> None:
    """Run so many trials of the search, on the Ray cluster of an open session.

    A worker that dies is replaced and its trial resumed; after ATTEMPTS the trial has errored.
    Raises ValueError without a session: Tune would start a Ray of its own.
    """
    if not ray.is_initialized():
        raise ValueError("a search runs on Ray Tune: open its executor with `ray_executor`")
    os.environ |= ENVIRONMENT
    logging.getLogger(tune_controller.__name__).setLevel(logging.CRITICAL)  # `OnEnd` says it
    with scratch_folder(compute.storage, layout.TUNE_SCRATCH) as scratch:
        tuner = tune.Tuner(
            _trainable(search, mapped, compute, groups),
            tune_config=tune.TuneConfig(
                search_alg=search,
                scheduler=scheduler(evaluations, search.options),
                num_samples=trials,
                max_concurrent_trials=slots(compute),
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="trials",
                storage_path=str(scratch),
                callbacks=[on_end],
                # cells checkpoint themselves
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=ATTEMPTS - 1),
                verbose=0,
            ),
        )
        tuner.fit()


def _trainable(
    search: SweepSearch,
    mapped: MappedInputs,
    compute: Compute,
    groups: Callable[[], Sequence[Group]],
) -> Any:
    """Return what computes a trial, for several workers in the groups."""
    context = search.context
    if compute.workers == 1:
        trainable = tune.with_parameters(CellTrial, context=context, mapped=mapped)
        held = tune.with_resources(trainable, {"cpu": compute.cpus, "gpu": compute.gpus})
    else:
        trainable = tune.with_parameters(
            GroupTrial, context=context, mapped=mapped, groups=groups()
        )
        # The trial only waits for its group, and must take no share of a CPU that the group needs;
        # Tune wants it to hold something: a byte of memory
        held = tune.with_resources(trainable, {"memory": 1.0})
    # Ray's dashboard names the process by its class. It computes one trial after another, so that
    # it can be called by the search alone
    held.__name__ = held.__qualname__ = search.journal.folder.parent.name
    return held


def scheduler(evaluations: int, options: SearchOptions) -> TrialScheduler:
    """Return halving at a third and two thirds of a trial's evaluations.

    Without a batch it is ASHA, which is asynchronous; with one its decisions depend on no timing.
    Where something is minimised beside it, no trial is stopped: a low probe may be a small student.
    """
    if options.minimise is not None:
        return FIFOScheduler()
    first = max(1, evaluations // 3)
    if options.batch is not None:
        return BatchedHalving(rungs=(first, 2 * first), batch=options.batch)
    return ASHAScheduler(
        time_attr="training_iteration",
        metric="probe",
        mode="max",
        max_t=evaluations,
        grace_period=first,
        reduction_factor=2,
    )
