"""The rows of every table: what a full method is compared with, and how many images it uses."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from dfkd.experiment import Experiment, recipes
from dfkd.stats.designs import leave_one_out

FULL = "full"
LABELS, ORACLE, RANDOM, DFND = "labels", "KD on original", "KD on random part", "DFND"
GENERATOR = "generator"
EARLIER, MIXTURES = "earlier recipe", "mixtures, 4 times the steps"
ALL_IMAGES = "all images"
SHARES: Mapping[str, float] = {"1/2": 1 / 2, "1/4": 1 / 4, "1/12": 1 / 12}  # 300k, 150k and 50k


def methods(full: Experiment, rivals: Mapping[str, Experiment]) -> dict[str, Experiment]:
    """Return the full method, what it is compared with, and it without each part."""
    parts: dict[str, Callable[[Experiment], Experiment]] = {
        "selection": lambda e: replace(e, selection=recipes.random(e).selection),
        "balanced batches": lambda e: replace(e, sampling=None),
        "dropping": lambda e: replace(e, dropping=None),
        "explicit": lambda e: replace(e, explicit=None),
        "implicit": lambda e: replace(e, implicit=None),
    }
    if full.sampling is None:
        del parts["balanced batches"]
    removed = leave_one_out(full, parts)
    return {FULL: removed.pop(FULL), **rivals, **removed}


def rivals(
    full: Experiment, dfnd: Experiment, generator: Experiment | None
) -> dict[str, Experiment]:
    """Return what a full method is compared with at equal steps and batch, at its settings.

    "labels" and "KD on original" see the original images, which a data-free method does not have.
    generator: None where images are too large for ours.
    """
    found = {
        LABELS: recipes.labels(full),
        ORACLE: recipes.original(full),
        RANDOM: recipes.random(full),
        DFND: dfnd,
    }
    return found if generator is None else found | {GENERATOR: generator}


def images_used(full: Experiment) -> dict[str, Experiment]:
    """Return the full method with its own number of selected images and with parts of it."""
    return {ALL_IMAGES: full} | {name: _with(full, share) for name, share in SHARES.items()}


def _with(full: Experiment, share: float) -> Experiment:
    ratio, rows = full.selection.ratio, full.selection.rows
    fewer = full.selection.at_budget(
        ratio=None if ratio is None else ratio * share,
        rows=None if rows is None else round(rows * share),
    )
    if fewer is None:
        raise ValueError("the curve of images used needs a selection that has other budgets")
    return replace(full, selection=fewer)
