"""One trial of a search, as a plain value."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from dfkd.identity import Scalar
from dfkd.training.measures import AGREEMENT

ENDS = ("finished", "pruned", "diverged")  # states of trials that are not asked for again
RECORDED = ("number", "params", "cell", "state", "step", "value")  # of a trial, in the journal


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One trial of a search: its parameters, its cell ("" for none) and how it went.

    `value` is the probe at the last step, which a pruned trial reached early, by its `measure`.
    `points` (step -> probe) and `validation` come from the cell's curve; the journal does not keep
    them.
    """

    number: int
    params: Mapping[str, Scalar]
    cell: str
    state: str  # "running", "errored", or one of ENDS
    step: int = 0
    value: float | None = None
    validation: float | None = None
    points: Mapping[int, float] = field(default_factory=dict)
    is_default: bool = False  # the default as it is, which the space makes of no parameters
    costs: Mapping[str, float] = field(default_factory=dict)  # of its student, if it is minimised
    measure: str = AGREEMENT  # of a point of the curve, by what it is judged

    @property
    def ended(self) -> bool:
        """Whether it need not be asked for again."""
        return self.state in ENDS

    def record(self) -> dict[str, Any]:
        """Return what the journal and a result's file keep of it, as JSON takes it."""
        facts = asdict(self)
        marks = {name: facts[name] for name in ("is_default", "costs") if facts[name]}
        measure = {} if self.measure == AGREEMENT else {"measure": self.measure}
        return {name: facts[name] for name in RECORDED} | marks | measure


def best_first(trials: Iterable[Trial]) -> list[Trial]:
    """Return the trials that finished, the highest probe first; of equal ones the earlier."""
    done = [t for t in trials if t.state == "finished" and t.value is not None]
    return sorted(done, key=lambda t: (-(t.value or 0.0), t.number))


def front(trials: Iterable[Trial]) -> list[Trial]:
    """Return the trials that finished and that none beats in probe and cost, the cheapest first.

    None where no cost is minimised.
    """
    best: list[Trial] = []
    costed = [trial for trial in best_first(trials) if trial.costs]
    for trial in sorted(costed, key=cost):  # of equal cost the higher probe is first
        if not best or (trial.value or 0.0) > (best[-1].value or 0.0):
            best.append(trial)
    return best


def cost(trial: Trial) -> float:
    """Return what the trial's student costs, in the one measure that is minimised."""
    return next(iter(trial.costs.values()))
