"""From a module's name to what it asks for: a study or a sweep, as ablate and sweep name them."""

import sys
from collections.abc import Mapping
from dataclasses import replace

from dfkd.execution.compute import Compute
from dfkd.planning.demand import Demand, of_study, of_sweep
from dfkd.studies.naming import study_named
from dfkd.sweeps.sweep import Sweep
from dfkd.user_modules import PACKAGES, load, modules_in


def demand_of(
    module: str,
    compute: Compute,
    *,
    recipe: str | None = None,
    trials: int = Sweep.trials,
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
            confirmation_blocks=Sweep.confirmation_blocks if blocks is None else blocks,
            recipe=recipe,
            values=values,
        )
        return of_sweep(sweep, compute, anew)
    if not has & {"study", "study_of"}:
        raise ValueError(
            f"the module {module} has neither `study` nor `space`: name a study, as in ablations/, "
            "or a search space, as in search_spaces/"
        )
    named = study_named(module, recipe, values)
    study = named.study if blocks is None else replace(named.study, blocks=blocks)
    return of_study(named.name, study, compute, anew)
