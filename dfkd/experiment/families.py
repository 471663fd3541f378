"""The families of pieces: each family's tuple, by the part of an experiment where it stands."""

from typing import Any

from dfkd.data.images.views import VIEWS
from dfkd.data.pools import POOLS
from dfkd.data.tasks import TASKS
from dfkd.method.dropping import DROPPINGS
from dfkd.method.finishing import FINISHINGS
from dfkd.method.losses import EXPLICIT, IMPLICIT, KDS, Both
from dfkd.method.sampling import SAMPLINGS
from dfkd.method.selection import SELECTIONS
from dfkd.models.networks import NETWORKS
from dfkd.models.teachers import TEACHERS
from dfkd.scores.top_k import CACHES
from dfkd.synthesis import SYNTHESISED

FAMILIES: dict[str, tuple[type[Any], ...]] = {
    "selection": SELECTIONS,
    "sampling": SAMPLINGS,
    "dropping": DROPPINGS,
    "kd": KDS,
    "explicit": EXPLICIT,
    "implicit": (*IMPLICIT, Both),
    "views": VIEWS,
    "finishing": FINISHINGS,
    "network": NETWORKS,
    "teacher": TEACHERS,
    "task": TASKS,
    "pool": (*POOLS, *SYNTHESISED),
    "cache": CACHES,
}
