"""Sweeps and ablation studies of data-free knowledge distillation with unlabelled data.

`__all__` is the public surface. Each name is imported when it is first used: `import dfkd` is free.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.3.0"

if TYPE_CHECKING:
    from dfkd import synthesis as synthesis
    from dfkd.data import pools as pools
    from dfkd.data import tasks as tasks
    from dfkd.execution.compute import Compute as Compute
    from dfkd.experiment import Cell as Cell
    from dfkd.experiment import Experiment as Experiment
    from dfkd.experiment import Schedule as Schedule
    from dfkd.experiment import recipes as recipes
    from dfkd.method import dropping as dropping
    from dfkd.method import finishing as finishing
    from dfkd.method import losses as losses
    from dfkd.method import sampling as sampling
    from dfkd.method import selection as selection
    from dfkd.models import networks as networks
    from dfkd.models import teachers as teachers
    from dfkd.notebook import run_study as run_study
    from dfkd.notebook import run_sweep as run_sweep
    from dfkd.seeding import Block as Block
    from dfkd.studies import Study as Study
    from dfkd.sweeps.spaces import choose as choose
    from dfkd.sweeps.sweep import Sweep as Sweep

_PLACES = {
    "dfkd": ("synthesis",),
    "dfkd.data": ("pools", "tasks"),
    "dfkd.execution.compute": ("Compute",),
    "dfkd.experiment": ("Cell", "Experiment", "Schedule", "recipes"),
    "dfkd.method": ("dropping", "finishing", "losses", "sampling", "selection"),
    "dfkd.models": ("networks", "teachers"),
    "dfkd.notebook": ("run_study", "run_sweep"),
    "dfkd.seeding": ("Block",),
    "dfkd.studies": ("Study",),
    "dfkd.sweeps.spaces": ("choose",),
    "dfkd.sweeps.sweep": ("Sweep",),
}
_MODULE_OF = {name: module for module, names in _PLACES.items() for name in names}

__all__ = sorted([*_MODULE_OF, "__version__"])


def __getattr__(name: str) -> Any:
    """Return a public name from where it is defined. Raises AttributeError for any other name."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name[0].isupper() or name.startswith("run_") or name == "choose":
        return getattr(import_module(_MODULE_OF[name]), name)
    return import_module(f"{_MODULE_OF[name]}.{name}")


def __dir__() -> list[str]:
    return list(__all__)
