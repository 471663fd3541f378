"""Figures of a sweep's parameters: a panel for each, and all of them side by side."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from dfkd.reporting.style import FAINT, GREY, Plot, blank, log_x, title_panel
from dfkd.sweeps.findings import SweepData, short
from dfkd.sweeps.trial import Trial
from dfkd.sweeps.trial_marks import mark_trials

WHITE = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}  # behind text on an axis
LABELLED = 6  # choices of a parameter that have room for their names


def slices(data: SweepData) -> Plot | None:
    """Draw a panel for each parameter: its value in each trial, and the probe at the last step."""
    shown = [t for t in data.trials if t.value is not None]
    if not shown or not data.scales:
        return None
    columns = min(3, len(data.scales))
    lines = math.ceil(len(data.scales) / columns)
    figure = blank(0.4 + 2.0 * lines)
    panels = figure.subplots(lines, columns, sharey=True, squeeze=False).flatten()
    for panel, (name, scale) in zip(panels, data.scales.items(), strict=False):
        own = [t for t in shown if _is_on_axis(t, name, scale)]
        places, labels = _places(name, scale, own)
        if scale == "log":
            log_x(panel, "{x:g}")
        mark_trials(panel, data, own, places)
        if labels is not None:
            panel.set_xticks(
                range(len(labels)),
                labels if len(labels) <= LABELLED else [""] * len(labels),
                fontsize=7,
            )
        title_panel(panel, name, columns)
    for panel in panels[len(data.scales) :]:
        panel.set_visible(False)
    figure.supylabel("probe at its last step", fontsize=9)
    return figure


def _is_on_axis(trial: Trial, name: str, scale: str) -> bool:
    """Return whether the trial's value is on the parameter's axis: a log axis has none below 0."""
    if name not in trial.params:
        return False
    return scale != "log" or float(trial.params[name]) > 0


def _places(name: str, scale: str, trials: Sequence[Trial]) -> tuple[list[float], list[str] | None]:
    """Return where each trial stands on the parameter's axis; for choices also their names."""
    values = [t.params[name] for t in trials]
    if scale != "choice":
        return [float(value) for value in values], None
    known = sorted({short(value) for value in values})
    return [float(known.index(short(value))) for value in values], known


def parallel(data: SweepData) -> Plot | None:
    """Draw a line for each trial through its parameters, each on an axis of its own.

    The colour is the probe of those that finished. A line has gaps where the space did not ask for
    a parameter.
    """
    finished = data.finished()
    trials = [t for t in data.trials if t.value is not None]
    scales = {
        name: scale
        for name, scale in data.scales.items()
        if any(_is_on_axis(t, name, scale) for t in trials)
    }
    names = list(scales)
    if len(names) < 2 or not finished:
        return None
    figure = blank(3.2)
    axes = figure.subplots()
    heights = {name: _heights(name, scales[name], trials) for name in names}
    values = [t.value or 0.0 for t in finished]
    norm = Normalize(min(values), max(values))
    for i in sorted(
        range(len(trials)), key=lambda i: (trials[i].state == "finished", trials[i].value or 0.0)
    ):
        done = trials[i].state == "finished"
        colour = colormaps["viridis_r"](norm(trials[i].value or 0.0)) if done else FAINT
        line = [heights[name][i] for name in names]
        # a point between two gaps has no line: a dot
        marker = "o" if any(map(math.isnan, line)) else ""
        width = 1.6 if done else 0.7
        axes.plot(line, color=colour, linewidth=width, marker=marker, markersize=3)
    for x, name in enumerate(names):
        axes.axvline(x, color=GREY, linewidth=0.8)
        low, high = _ends(name, scales[name], trials)
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
    """Return heights in 0 to 1 on the parameter's own scale; NaN where a trial has no value."""
    own = [t for t in trials if _is_on_axis(t, name, scale)]
    places = np.array(_places(name, scale, own)[0])
    places = np.log(places) if scale == "log" else places
    spread = float(np.ptp(places))
    heights = [0.5 if spread == 0 else float(place - places.min()) / spread for place in places]
    at = dict(zip((t.number for t in own), heights, strict=True))
    return [at.get(t.number, math.nan) for t in trials]


def _ends(name: str, scale: str, trials: Sequence[Trial]) -> tuple[str, str]:
    places, labels = _places(name, scale, [t for t in trials if _is_on_axis(t, name, scale)])
    if labels is not None:
        return labels[0], labels[-1]
    return short(min(places)), short(max(places))
