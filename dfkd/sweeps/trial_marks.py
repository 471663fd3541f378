"""Marks of trials in figures: filled, hollow or a cross by how each ended; two are ringed."""

from collections.abc import Sequence
from typing import Any

from dfkd.reporting.style import BLUE, GREY, ORANGE, tell
from dfkd.sweeps.findings import SweepData, short
from dfkd.sweeps.trial import Trial

STATES: dict[str, dict[str, Any]] = {
    "finished": {"marker": "o", "color": BLUE},
    "pruned": {"marker": "o", "facecolors": "none", "edgecolors": GREY},
    "diverged": {"marker": "x", "color": ORANGE},
}


def mark_trials(axes: Any, data: SweepData, trials: Sequence[Trial], xs: Sequence[float]) -> None:
    """Draw each trial's probe at its place `xs`; the default and the winner are ringed."""
    for state in STATES:
        own = [(x, t) for x, t in zip(xs, trials, strict=True) if t.state == state]
        said = [said_of(t, data) for _, t in own]
        scatter(axes, state, [(x, t.value or 0.0) for x, t in own], said)
    special = {"the default": (data.default(), "s"), "the winner": (data.winner(), "D")}
    for name, (trial, marker) in special.items():
        at = [(x, t.value) for x, t in zip(xs, trials, strict=True) if t is trial]
        if at:
            axes.scatter(
                *zip(*at, strict=True),
                s=80,
                marker=marker,
                facecolors="none",
                edgecolors="black",
                linewidth=1,
                label=name,
                zorder=4,
            )


def said_of(trial: Trial, data: SweepData) -> str:
    """Return what a trial's mark says: its number, probe and parameters, in a line."""
    params = [f"{n} {short(trial.params[n])}" for n in data.scales if n in trial.params]
    return ", ".join([f"trial {trial.number}: probe {short(trial.value)}", *params])


def scatter(
    axes: Any, state: str, points: Sequence[tuple[float, float]], said: Sequence[str]
) -> None:
    """Draw points (x, y) with the mark of this state; nothing where there are none.

    said: what each says when a pointer rests on it.
    """
    if points:
        style = STATES[state]
        marks = axes.scatter(
            *zip(*points, strict=True), s=22, linewidth=1, label=state, zorder=3, **style
        )
        tell(marks, *said)
