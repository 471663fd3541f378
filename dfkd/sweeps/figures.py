"""Figures of a sweep, by name. Plots are SVG files of a fixed width.

Optuna's own plots show completed trials only, and halving leaves few of them: these show stopped
trials as well, as hollow marks at the probe where they were stopped.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from matplotlib.ticker import MaxNLocator

from dfkd.reporting.style import BLUE, FAINT, GREY, Plot, blank, log_x, styled, svg
from dfkd.sweeps.findings import SweepData
from dfkd.sweeps.parameter_figures import parallel, slices
from dfkd.sweeps.trial import cost, front
from dfkd.sweeps.trial_marks import STATES, mark_trials, said_of, scatter

Made = TypeVar("Made")


# what matplotlib, NumPy and our own drawing raise for numbers that they cannot draw
UNDRAWABLE = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)


def figures(data: SweepData) -> dict[str, Plot]:
    """Return the figures that the trials allow, by name. One that cannot be drawn is left out."""
    drawn = {name: _unless_broken(name, partial(draw, data), []) for name, draw in FIGURES.items()}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def drawings(data: SweepData) -> tuple[dict[str, str], list[str]]:
    """Return the figures as SVG elements by name, and a line for each that cannot be drawn."""
    notes: list[str] = []

    def drawing(draw: Callable[[SweepData], Plot | None]) -> str | None:
        figure = draw(data)
        return None if figure is None else svg(figure)

    drawn = {
        name: _unless_broken(name, partial(drawing, draw), notes) for name, draw in FIGURES.items()
    }
    return {name: element for name, element in drawn.items() if element is not None}, notes


def _unless_broken(name: str, make: Callable[[], Made | None], notes: list[str]) -> Made | None:
    """Return what `make` returns. A figure that cannot be drawn stops no result: it is a note."""
    try:
        with styled():
            return make()
    except UNDRAWABLE as error:
        notes.append(f"the figure {name!r} cannot be drawn: {type(error).__name__}: {error}")
        return None


def history(data: SweepData) -> Plot | None:
    """Draw the probe of each trial at its last step, and the best so far of those that finished."""
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
    mark_trials(axes, data, shown, [t.number for t in shown])
    axes.set_xlabel("trial")
    axes.set_ylabel("probe at its last step")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside right upper", fontsize=8)
    return figure


def trade_off(data: SweepData) -> Plot | None:
    """Draw the probe against what the student costs, and the line of those that none beats."""
    shown = [t for t in data.trials if t.value is not None and t.costs]
    best = front(shown)
    if not best:
        return None
    figure = blank(2.9)
    axes = figure.subplots()
    axes.step(
        [cost(t) for t in best],
        [t.value or 0.0 for t in best],
        where="post",
        color=BLUE,
        linewidth=1.4,
        label="none is better in both",
    )
    log_x(axes, "{x:,.0f}")
    mark_trials(axes, data, shown, [cost(t) for t in shown])
    axes.set_xlabel(f"{data.cost_name} of the student")
    axes.set_ylabel("probe")
    figure.legend(loc="outside right upper", fontsize=8)
    return figure


def curves(data: SweepData) -> Plot | None:
    """Draw the probe of every trial over its steps, up to where it was stopped."""
    shown = [t for t in data.trials if len(t.points) > 1]
    if not shown:
        return None
    figure = blank(2.9)
    axes = figure.subplots()
    winner = data.winner() or data.default()
    for trial in sorted(shown, key=lambda t: (t is winner, t.state == "finished")):
        colour, width = (BLUE, 1.2) if trial.state == "finished" else (FAINT, 0.8)
        bold = trial is winner
        axes.plot(
            list(trial.points),
            list(trial.points.values()),
            color="black" if bold else colour,
            linewidth=1.8 if bold else width,
        )
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("probe")
    return figure


def importance(data: SweepData) -> Plot | None:
    """Draw each parameter's share of the probe's variation."""
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


def trust(data: SweepData) -> Plot | None:
    """Draw validation accuracy, which the search never saw, against the probe, which it saw."""
    shown = data.validated()
    if data.correlation is None or len(shown) < 3:
        return None
    figure = blank(3.0)
    axes = figure.subplots()
    for state in STATES:
        scatter(
            axes,
            state,
            [(t.value or 0.0, 100 * (t.validation or 0.0)) for t in shown if t.state == state],
            [said_of(t, data) for t in shown if t.state == state],
        )
    axes.set_xlabel("probe at the trial's last step")
    axes.set_ylabel("validation accuracy, %")
    figure.legend(loc="outside right upper", fontsize=8)
    return figure


def confirmation(data: SweepData) -> Plot | None:
    """Draw each block's pair, and the mean difference with its interval."""
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
    "trade_off": trade_off,
    "importance": importance,
    "slices": slices,
    "parallel": parallel,
    "trust": trust,
    "curves": curves,
}
