"""Ray Tune, set up for warm trials: reused processes, our search, a scheduler, and no state of its
own.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable
from typing import Any

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from dfkd.execution.compute import Compute
from dfkd.execution.session import slots
from dfkd.storage import layout
from dfkd.sweeps.halving import BatchedHalving
from dfkd.sweeps.search import SweepSearch
from dfkd.sweeps.trials import CellTrial, train_trial
from dfkd.training.inputs import MappedInputs

# trials asked for together in a deterministic sweep; part of its result, so not the number of cores
BATCH = 8
ATTEMPTS = 3


class OnEnd(tune.Callback):
    """Calls a function for each trial that ended, with its last result; None for one that
    errored.
    """

    def __init__(self, function: Callable[[dict[str, Any] | None], None]) -> None:
        self.function = function

    def __getstate__(self) -> dict[str, Any]:
        """Tune writes its own state to disk; it is never read."""
        return {}

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self.function(trial.last_result)

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self.function(None)


def tune_trials(
    search: SweepSearch,
    trials: int,
    evaluations: int,
    mapped: MappedInputs,
    compute: Compute,
    on_end: OnEnd,
) -> None:
    """Run so many trials. A worker that dies is replaced and its trial resumed; then the trial
    counts as errored.
    """
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = (
        "1"  # no CSV, JSON and TensorBoard copies of the ledger
    )
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # Ctrl-C is ours: it ends the sweep in order
    os.environ["TUNE_GLOBAL_CHECKPOINT_S"] = "3600"  # Tune's state is thrown away
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = (
        "0"  # relative paths in a user's space stay those of the driver
    )
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # with verbose=0: no walls of boxes
    scratch = compute.storage / layout.TUNE_SCRATCH / uuid.uuid4().hex
    # A Train run brings its own workers. The trial beside them only waits, and must take no share
    # of a CPU that they need; Tune wants it to hold something: a byte of memory
    resources = (
        {"cpu": compute.cpus, "gpu": compute.gpus} if compute.workers == 1 else {"memory": 1.0}
    )
    kind = CellTrial if compute.workers == 1 else train_trial
    trainable = tune.with_parameters(kind, context=search.context, mapped=mapped)
    tuner = tune.Tuner(
        tune.with_resources(trainable, resources),
        tune_config=tune.TuneConfig(
            search_alg=search,
            scheduler=scheduler(evaluations, search.batch),
            num_samples=trials,
            max_concurrent_trials=slots(compute),
            reuse_actors=compute.workers == 1,
        ),
        run_config=tune.RunConfig(
            name="trials",
            storage_path=str(scratch),
            callbacks=[on_end],
            checkpoint_config=tune.CheckpointConfig(
                checkpoint_at_end=False
            ),  # cells checkpoint themselves
            failure_config=tune.FailureConfig(max_failures=ATTEMPTS - 1),
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def scheduler(evaluations: int, batch: int | None) -> TrialScheduler:
    """Halving at a third and two thirds of the evaluations: asynchronous (ASHA), or independent of
    timing.
    """
    first = max(1, evaluations // 3)
    if batch is not None:
        return BatchedHalving(rungs=(first, 2 * first), batch=batch)
    return ASHAScheduler(
        time_attr="training_iteration",
        metric="probe",
        mode="max",
        max_t=evaluations,
        grace_period=first,
        reduction_factor=2,
    )
