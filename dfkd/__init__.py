"""Data-free knowledge distillation: pieces, experiments, sweeps and studies.

The public surface, each name imported when it is first used, so that `import dfkd` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dfkd.experiment import recipes as recipes

_MODULES = {"recipes": "dfkd.experiment.recipes"}


def __getattr__(name: str) -> Any:
    """A public name of the package, from the module that defines it.

    AttributeError for any other.
    """
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(_MODULES[name])
