"""Successive halving whose decisions depend on no timing, for deterministic sweeps."""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler


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
        # rung -> trial's number -> value
        self._seen: defaultdict[int, dict[int, float]] = defaultdict(dict)

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Number the trials in the order in which they are asked for."""
        self._order[trial.trial_id] = len(self._order)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Return whether the trial goes on or stops."""
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
