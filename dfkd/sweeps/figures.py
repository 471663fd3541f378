"""Figures of a sweep: history, slices, importance, parallel coordinates, the probe's worth, the
confirmation.

Optuna's own plots show completed trials only, and halving leaves few of them: these show stopped
trials as well, as hollow marks at the probe where they were stopped. Optuna computes the importance
(`dfkd/sweeps/record.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from dfkd.reporting.style import BLUE, FAINT, GREY, ORANGE, Plot, blank, styled
from dfkd.sweeps.findings import SweepData, Trial, short

STATES: dict[str, dict[str, Any]] = {
    "finished": {"marker": "o", "color": BLUE},
    "pruned": {"marker": "o", "facecolors": "none", "edgecolors": GREY},
    "diverged": {"marker": "x", "color": ORANGE},
}
WHITE = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}  # behind text on an axis
LABELLED = 6  # choices of a parameter that have room for their names


def figures(data: SweepData) -> dict[str, Plot]:
    """Those that the trials allow, by name."""
    with styled():
        drawn = {name: draw(data) for name, draw in FIGURES.items()}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def history(data: SweepData) -> Plot | None:
    """The probe of each trial at its last step, and the best so far among those that finished."""
    shown = [t for t in data.trials if t.value is not None]
    if not shown:
        return None
    figure = blank(2.9)
    axes = figure.subplots()
    line = data.best_so_far()
    axes.step(
        [x for x, _ in line],
        [y for _, y in line],
        where="post",
        color=BLUE,
        linewidth=1.4,
        label="best so far",
    )
    _marks(axes, data, shown, [t.number for t in shown])
    axes.set_xlabel("trial")
    axes.set_ylabel("probe at its last step")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside right upper", fontsize=8)
    return figure


def _marks(axes: Any, data: SweepData, trials: Sequence[Trial], xs: Sequence[float]) -> None:
    """Filled: finished; hollow: stopped by the search; cross: diverged. The default and the winner
    are ringed.
    """
    winner = data.winner()
    for state in STATES:
        _scatter(
            axes,
            state,
            [(x, t.value or 0.0) for x, t in zip(xs, trials, strict=True) if t.state == state],
        )
    special = {
        "the default": (data.trials[0], "s"),
        **({"the winner": (winner, "D")} if winner else {}),
    }
    for name, (trial, marker) in special.items():
        at = [(x, t.value) for x, t in zip(xs, trials, strict=True) if t.number == trial.number]
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


def _scatter(axes: Any, state: str, points: Sequence[tuple[float, float]]) -> None:
    if points:
        axes.scatter(
            *zip(*points, strict=True), s=22, linewidth=1, label=state, zorder=3, **STATES[state]
        )


def curves(data: SweepData) -> Plot | None:
    """The probe of every trial over its steps: where the stopped ones stood when they were
    stopped.
    """
    shown = [t for t in data.trials if len(t.points) > 1]
    if not shown:
        return None
    figure = blank(2.9)
    axes = figure.subplots()
    winner = data.winner() or data.trials[0]
    for trial in sorted(shown, key=lambda t: (t.number == winner.number, t.state == "finished")):
        colour, width = (BLUE, 1.2) if trial.state == "finished" else (FAINT, 0.8)
        bold = trial.number == winner.number
        axes.plot(
            list(trial.points),
            list(trial.points.values()),
            color="black" if bold else colour,
            linewidth=1.8 if bold else width,
        )
    axes.set_xlabel("step")
    axes.set_ylabel("probe")
    return figure


def importance(data: SweepData) -> Plot | None:
    found = data.importance
    if found is None:
        return None
    figure = blank(0.8 + 0.27 * len(found.shares))
    axes = figure.subplots()
    names, shares = list(found.shares), [100 * share for share in found.shares.values()]
    axes.barh(range(len(names)), shares, color=BLUE, height=0.55)
    for y, share in enumerate(shares):
        axes.annotate(
            f"{share:.0f}",
            (share, y),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(
        f"share of the probe's variation, %, over {found.trials} trials at step {found.step}"
    )
    return figure


def slices(data: SweepData) -> Plot | None:
    """A panel for each parameter: its value in each trial, and the probe at the trial's last
    step.
    """
    shown = [t for t in data.trials if t.value is not None]
    if not shown or not data.scales:
        return None
    columns = min(3, len(data.scales))
    lines = math.ceil(len(data.scales) / columns)
    figure = blank(0.4 + 2.0 * lines)
    panels = figure.subplots(lines, columns, sharey=True, squeeze=False).flatten()
    for panel, (name, scale) in zip(panels, data.scales.items(), strict=False):
        own = [t for t in shown if name in t.params]
        places, labels = _places(name, scale, own)
        if scale == "log":
            panel.set_xscale("log")
            panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=5))
            panel.xaxis.set_major_formatter(
                StrMethodFormatter("{x:g}")
            )  # the usual one writes 10 to the power of
            panel.xaxis.set_minor_formatter(NullFormatter())
        _marks(panel, data, own, places)
        if labels is not None:
            panel.set_xticks(
                range(len(labels)),
                labels if len(labels) <= LABELLED else [""] * len(labels),
                fontsize=7,
            )
        panel.set_title(name)
    for panel in panels[len(data.scales) :]:
        panel.set_visible(False)
    figure.supylabel("probe at its last step", fontsize=9)
    return figure


def _places(name: str, scale: str, trials: Sequence[Trial]) -> tuple[list[float], list[str] | None]:
    """Where each trial stands on the parameter's axis; for choices also their names."""
    values = [t.params[name] for t in trials]
    if scale != "choice":
        return [float(value) for value in values], None  # type: ignore[arg-type]
    known = sorted({short(value) for value in values})
    return [float(known.index(short(value))) for value in values], known


def parallel(data: SweepData) -> Plot | None:
    """A line a trial through its parameters, each on an axis of its own; the colour is the probe
    where it finished.
    """
    finished = data.finished()
    names = list(data.scales)
    if len(names) < 2 or not finished:
        return None
    figure = blank(3.2)
    axes = figure.subplots()
    trials = [
        t for t in data.trials if t.value is not None and all(name in t.params for name in names)
    ]
    heights = {name: _heights(name, data.scales[name], trials) for name in names}
    values = [t.value or 0.0 for t in finished]
    norm = Normalize(min(values), max(values))
    for i in sorted(
        range(len(trials)), key=lambda i: (trials[i].state == "finished", trials[i].value or 0.0)
    ):
        done = trials[i].state == "finished"
        colour = colormaps["viridis_r"](norm(trials[i].value or 0.0)) if done else FAINT
        axes.plot(
            [heights[name][i] for name in names], color=colour, linewidth=1.6 if done else 0.7
        )
    for x, name in enumerate(names):
        axes.axvline(x, color=GREY, linewidth=0.8)
        low, high = _ends(name, data.scales[name], trials)
        for y, text, side in ((-0.05, low, "top"), (1.05, high, "bottom")):
            axes.text(x, y, text, ha="center", va=side, fontsize=8, color=GREY, bbox=WHITE)
    axes.set_xticks(range(len(names)), [name.replace(".", ".\n", 1) for name in names], fontsize=8)
    axes.tick_params(length=0, pad=14)
    axes.set_yticks([])
    axes.set_ylim(-0.08, 1.12)
    axes.spines[["left", "bottom"]].set_visible(False)
    bar = figure.colorbar(ScalarMappable(norm, "viridis_r"), ax=axes, aspect=30)
    bar.set_label("probe of finished trials", fontsize=8)
    bar.outline.set_visible(False)
    return figure


def _heights(name: str, scale: str, trials: Sequence[Trial]) -> list[float]:
    """Between 0 and 1, on the parameter's own scale."""
    places = np.array(_places(name, scale, trials)[0])
    places = np.log(places) if scale == "log" else places
    spread = float(np.ptp(places))
    return [0.5 if spread == 0 else float(place - places.min()) / spread for place in places]


def _ends(name: str, scale: str, trials: Sequence[Trial]) -> tuple[str, str]:
    places, labels = _places(name, scale, trials)
    if labels is not None:
        return labels[0], labels[-1]
    return short(min(places)), short(max(places))


def trust(data: SweepData) -> Plot | None:
    """Validation accuracy, which the search never saw, against the probe, by which it chose."""
    shown = [t for t in data.trials if t.value is not None and t.validation is not None]
    if data.correlation is None or len(shown) < 3:
        return None
    figure = blank(3.0)
    axes = figure.subplots()
    for state in STATES:
        _scatter(
            axes,
            state,
            [(t.value or 0.0, 100 * (t.validation or 0.0)) for t in shown if t.state == state],
        )
    axes.set_xlabel("probe at the trial's last step")
    axes.set_ylabel("validation accuracy, %")
    figure.legend(loc="outside right upper", fontsize=8)
    return figure


def confirmation(data: SweepData) -> Plot | None:
    """Each block's pair, and the mean difference with its interval."""
    found = data.confirmation
    if found is None or not found.winner:
        return None
    figure = blank(2.6)
    pairs, mean = figure.subplots(1, 2, width_ratios=[1.5, 1])
    blocks = range(len(found.winner_test))
    for block in blocks:
        both = [100 * found.default_test[block], 100 * found.winner_test[block]]
        pairs.plot([block, block], both, color=FAINT, linewidth=1.5, zorder=1)
    pairs.scatter(
        blocks,
        [100 * v for v in found.default_test],
        marker="s",
        facecolors="white",
        edgecolors=GREY,
        s=24,
        label="default",
        zorder=2,
    )
    pairs.scatter(
        blocks, [100 * v for v in found.winner_test], color=BLUE, s=24, label="winner", zorder=3
    )
    pairs.set_xlabel("fresh block")
    pairs.set_ylabel("test accuracy, %")
    pairs.xaxis.set_major_locator(MaxNLocator(integer=True))
    pairs.legend(fontsize=8)
    interval = found.difference()
    mean.axvline(0, color=GREY, linewidth=1)
    if interval.low is not None and interval.high is not None:
        mean.plot([100 * interval.low, 100 * interval.high], [0, 0], color=BLUE, linewidth=3.2)
    mean.plot(100 * interval.mean, 0, "o", color=BLUE, markersize=7, markeredgecolor="white")
    mean.set_yticks([])
    mean.spines["left"].set_visible(False)
    mean.set_xlabel("winner minus default, points")
    return figure


FIGURES: dict[str, Callable[[SweepData], Plot | None]] = {
    "confirmation": confirmation,
    "history": history,
    "importance": importance,
    "slices": slices,
    "parallel": parallel,
    "trust": trust,
    "curves": curves,
}
