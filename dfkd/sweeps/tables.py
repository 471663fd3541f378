"""A sweep's tables, for the terminal, the page, Markdown and LaTeX alike: header and rows."""

from collections.abc import Iterable, Mapping

from dfkd.reporting.numbers import interval, percent, points
from dfkd.sweeps.findings import SHOWN, Confirmation, SweepData, column, short
from dfkd.sweeps.trial import Trial, cost, front

CONFIRMED = ("what", "test %", "n", "difference", "95 % interval")

Table = tuple[list[str], list[list[str]]]


def best(data: SweepData, marks: Mapping[int, str] | None = None) -> Table:
    """Return the best trials that finished. marks: trial's number -> what stands behind it."""
    return _table(data, data.finished()[:SHOWN], marks or {})


def on_front(data: SweepData, marks: Mapping[int, str] | None = None) -> Table:
    """Return the trials that none beats in probe and cost; no rows where no cost is minimised."""
    return _table(data, front(data.trials), marks or {})


def _table(data: SweepData, trials: Iterable[Trial], marks: Mapping[int, str]) -> Table:
    header = ["trial", "probe", "validation", *_costs(data), *map(column, data.scales)]
    rows = [
        [
            f"{t.number}{marks.get(t.number, '')}",
            short(t.value),
            "" if t.validation is None else short(t.validation),
            *(f"{cost(t):,.0f}" for _ in _costs(data) if t.costs),
            *_params(t, data),
        ]
        for t in trials
    ]
    return header, rows


def _costs(data: SweepData) -> list[str]:
    return [] if data.cost_name is None else [data.cost_name]


def marks(data: SweepData) -> dict[int, str]:
    """Return what stands behind the numbers of the default's and the winner's trial."""
    marked = {" (default)": data.default(), " (winner)": data.winner()}
    return {trial.number: mark for mark, trial in marked.items() if trial is not None}


def confirmed(confirmation: Confirmation | None) -> list[list[str]]:
    """Return rows below CONFIRMED; none while nothing is confirmed."""
    if confirmation is None:
        return []
    n = str(len(confirmation.default_test))
    default = ["default", _mean(confirmation.default_test), n, "", ""]
    if not confirmation.winner:
        return [default]
    found = confirmation.difference()
    difference = [points(found.mean), interval(found.low, found.high)]
    return [default, ["winner", _mean(confirmation.winner_test), n, *difference]]


def every_trial(data: SweepData) -> Table:
    """Return all trials in the order of their numbers."""
    header = ["trial", "state", "step", "probe", *map(column, data.scales), "cell"]
    rows = [
        [
            str(t.number),
            t.state,
            str(t.step),
            "" if t.value is None else short(t.value),
            *_params(t, data),
            t.cell,
        ]
        for t in data.trials
    ]
    return header, rows


def provenance(data: SweepData) -> list[tuple[str, str]]:
    """Return what the sweep was computed from and on, a row for each fact."""
    return [(name, ", ".join(values)) for name, values in data.provenance.items()]


def _params(trial: Trial, data: SweepData) -> list[str]:
    return [short(trial.params[name]) if name in trial.params else "" for name in data.scales]


def _mean(values: tuple[float, ...]) -> str:
    return percent(sum(values) / len(values))
