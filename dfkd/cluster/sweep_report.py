"""What a sweep found, in the terminal: the best trials, the confirmed difference, where all of it lies."""

from __future__ import annotations

from collections import Counter

from dfkd.cluster.session import Compute
from dfkd.cluster.sweep import Sweep, SweepResult
from dfkd.console import Console
from dfkd.tracking import Tracker
from dfkd.values import Scalar


def show(result: SweepResult, sweep: Sweep, compute: Compute, console: Console) -> None:
    names = [name for name in result.best[0] if name not in ("trial", "probe", "validation")]
    header = ["trial", "probe", "validation", *names]
    console.table("Best trials, by the probe", header, [[_short(row[name]) for name in header] for row in result.best])
    states = Counter(record.state for record in result.trials)
    console.line(f"{len(result.trials)} trials: " + ", ".join(f"{n} {state}" for state, n in sorted(states.items())))
    console.line(
        f"probe against validation accuracy: rank correlation {result.correlation:.2f} over the trials"
        " (the search saw the probe only)"
    )
    for line in verdict(result):
        console.line(line)
    console.line(f"written to {compute.storage}: cells/, sweeps/{result.name}/ (optuna.log opens in optuna-dashboard)")
    console.line(f"see all runs:  {Tracker(compute.storage, compute.tracking_uri).open_command()}")


def verdict(result: SweepResult) -> list[str]:
    """The confirmed difference in words."""
    n = len(result.winner_test)
    if not result.winner:
        return [f"the default recipe was not beaten: {_mean(result.default_test)} % test accuracy over {n} blocks"]
    difference, low, high = result.difference()
    interval = f", 95 % interval {low * 100:+.1f} to {high * 100:+.1f}" if low is not None and high is not None else ""
    decided = low is not None and high is not None and (low > 0 or high < 0)
    word = ("better" if difference > 0 else "worse") if decided else "not distinguishable at this n"
    changes = ", ".join(f"{name} {_short(value)}" for name, value in result.winner.items())
    return [
        f"winner: {changes}",
        f"winner {_mean(result.winner_test)} %, default {_mean(result.default_test)} % test accuracy: "
        f"{difference * 100:+.1f} points{interval}, {n} fresh blocks, paired: {word}",
        "conditional on this teacher and this pool",
    ]


def _mean(values: list[float]) -> str:
    return f"{100 * sum(values) / len(values):.1f}"


def _short(value: Scalar) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
