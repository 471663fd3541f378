"""Sweep: what is searched, how long, and on which blocks."""

import ast
import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dfkd.experiment import Cell, Experiment
from dfkd.experiment.recipes import recipe_named
from dfkd.experiment.settings import lines, suffix
from dfkd.identity import Json, digest
from dfkd.reporting.nearest import nearest
from dfkd.reporting.shell import command
from dfkd.seeding import Block
from dfkd.sweeps.options import BATCH, SearchOptions
from dfkd.sweeps.search_space import Around, SearchSpace, default_in
from dfkd.training.measures import AGREEMENT, SOFT
from dfkd.user_modules import load

SAMPLERS = ("tpe", "gp", "random")  # Optuna's; gp: a Gaussian process
COSTS = ("parameters", "operations")  # of a student, see `costs.py`
PROBES = {"agreement": AGREEMENT, "soft": SOFT}  # see dfkd/training/probe.py
# First seeds of three sets of blocks that share nothing; those below 1000 are the studies'
SEARCH, CHOICE, CONFIRMATION = 1000, 2000, 3000
RANGES = {
    "trials": (1, 100_000),
    "choice_blocks": (1, CONFIRMATION - CHOICE),
    "confirmation_blocks": (2, 10_000),  # paired differences need two
}


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A search of a space and the confirmation of what it finds.

    space: name of a module with `space` and `default`. trials: in all, those of earlier calls
    included. seed: of the sampler. deterministic: in fixed batches, equal on any cluster.
    sampler: one of SAMPLERS, Optuna's.
    minimise: one of COSTS, a second objective beside the probe; None for the probe alone.
    probe: one of PROBES, by which trials are judged.
    recipe: name of the recipe to search around instead of the space's default.
    values: parameter -> text, as for `rebuild.changed`, for the default and all trials; what is set
    is not searched.
    choice_blocks: cells for each candidate. confirmation_blocks: cells for each side.
    """

    space: str
    trials: int = 24
    seed: int = 0
    deterministic: bool = False
    sampler: str = "tpe"
    minimise: str | None = None
    probe: str = "agreement"
    recipe: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    choice_blocks: int = 3
    confirmation_blocks: int = 10

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise ValueError(
                f"there is no sampler {self.sampler!r}: {nearest(self.sampler, SAMPLERS)}"
            )
        if self.minimise is not None and self.minimise not in COSTS:
            known = nearest(self.minimise, COSTS)
            raise ValueError(f"there is no cost {self.minimise!r} to minimise: {known}")
        if self.probe not in PROBES:
            raise ValueError(f"there is no probe {self.probe!r}: {nearest(self.probe, PROBES)}")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must be 0 to {2**32 - 1}, as Optuna's, but got {self.seed}")
        for name, (least, most) in RANGES.items():
            if not least <= (asked := getattr(self, name)) <= most:
                raise ValueError(f"{name} must be {least} to {most:,}, but got {name}={asked!r}")

    def search_space(self) -> SearchSpace:
        """Return what is searched. Raises ValueError for values that do not fit the recipe."""
        recipe = None if self.recipe is None else recipe_named(self.recipe)
        around = Around.of(default_in(self.space), recipe, self.values)
        return SearchSpace(module=self.space, around=around)

    def options(self) -> SearchOptions:
        """Return how trials are asked for."""
        return SearchOptions(
            trials=self.trials,
            seed=self.seed,
            batch=BATCH if self.deterministic else None,
            sampler=self.sampler,
            minimise=self.minimise,
            measure=PROBES[self.probe],
        )

    def default(self) -> Experiment:
        """Return the recipe that is searched around."""
        return self.search_space().recipe()

    def set_lines(self) -> list[str]:
        """Return what `values` changes in the recipe, a line for each parameter."""
        space = replace(self, values={}).search_space()
        return lines(self.default(), space.recipe()) if self.values else []

    def command(self) -> str:
        """Return the command that asks for it."""
        asked = {
            "trials": self.trials,
            "blocks": self.confirmation_blocks,
            "seed": self.seed or None,
            "sampler": None if self.sampler == "tpe" else self.sampler,
            "minimise": self.minimise,
            "probe": None if self.probe == "agreement" else self.probe,
            "deterministic": self.deterministic,
            "recipe": self.recipe,
        }
        return command("sweep", self.space, asked, self.values)

    def first_cell(self) -> Cell:
        """Return the default on the block on which all trials are computed."""
        return Cell(experiment=self.default(), block=Block(seed=SEARCH))

    def name(self) -> str:
        """Return the name of its folder, equal for calls that go on with one another.

        The number of trials may grow, and comments in the space may change.
        """
        source, default = source_of(self.space), self.default().fingerprint()
        sampler = [] if self.sampler == "tpe" else [self.sampler]
        cost = [] if self.minimise is None else [f"minimise {self.minimise}"]
        probe = [] if self.probe == "agreement" else [f"probe {self.probe}"]
        values: list[Json] = [dict(self.values.items())] if self.values else []
        identity = digest(
            [source, default, self.seed, self.deterministic, *sampler, *cost, *probe, *values], 8
        )
        recipe = [] if self.recipe is None else [self.recipe.split(".")[-1]]
        set_here = [suffix(self.values)] if self.values else []
        return "-".join([self.space.split(".")[-1], *recipe, *set_here, identity])


def source_of(space: str) -> str:
    """Return what a space's module says, for its identity, without comments and layout.

    It is the same with Python 3.11, 3.12 and 3.13.
    """
    load(space, "space", "search_spaces")
    tree = ast.parse(inspect.getsource(sys.modules[space]))
    for node in ast.walk(tree):
        if getattr(node, "type_params", None) == []:  # a field that Python 3.11 does not have
            delattr(node, "type_params")
    shown: Any = {"show_empty": True} if sys.version_info >= (3, 13) else {}  # as earlier ones do
    return ast.dump(tree, **shown)
