"""From a module's name to what it asks for: a study or a sweep, as ablate and sweep name them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace

from dfkd.execution.compute import Compute
from dfkd.experiment.recipes import recipe_named
from dfkd.experiment.settings import Settings, suffix
from dfkd.planning.demand import Demand, of_study, of_sweep
from dfkd.studies import Study
from dfkd.sweeps.sweep import Sweep
from dfkd.user_modules import PACKAGES, load, modules_in

BLOCKS = 10  # of a sweep's confirmation


def demand_of(
    module: str,
    compute: Compute,
    *,
    recipe: str | None = None,
    trials: int = 24,
    blocks: int | None = None,
    values: Mapping[str, str],
    anew: bool = False,
) -> Demand:
    """Return what a module asks for. anew: as if the storage had nothing of it.

    Raises ValueError for a module that is neither a study nor a search space.
    """
    known = [name for package in PACKAGES for name in modules_in(package)]
    load(module, "__name__", "ablations", known)
    has = vars(sys.modules[module]).keys()
    if "space" in has:
        sweep = Sweep(
            space=module,
            trials=trials,
            confirmation_blocks=BLOCKS if blocks is None else blocks,
            recipe=recipe,
            values=values,
        )
        return of_sweep(sweep, compute, anew)
    if not has & {"study", "study_of"}:
        raise ValueError(
            f"the module {module} has neither `study` nor `space`: name a study, as in ablations/, "
            "or a search space, as in search_spaces/"
        )
    name, study = _study(module, recipe, values)
    return of_study(name, study if blocks is None else replace(study, blocks=blocks), compute, anew)


def _study(module: str, recipe: str | None, values: Mapping[str, str]) -> tuple[str, Study]:
    name = module.split(".")[-1]
    if recipe is None:
        study: Study = load(module, "study", "ablations")
    else:
        study = load(module, "study_of", "ablations")(recipe_named(recipe))
        name = f"{name}-{recipe.split('.')[-1]}"
    if not values:
        return name, study
    settings = Settings(values=values, base=study.variants[study.baseline])
    return f"{name}-{suffix(values)}", study.changed(settings)
