"""How a search asks for trials: how many, and what draws them."""

from dataclasses import dataclass

from dfkd.training.measures import AGREEMENT

# trials asked for together in a deterministic sweep; part of its result, so not the number of cores
BATCH = 8


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """What a search is told beside its space.

    trials: in all, those of earlier calls included. seed: of the sampler.
    batch: None asks as soon as a core is free. A number asks for that many and tells their results
    together, in the order of their numbers: what is asked then depends on no timing.
    sampler: one of `sweep.SAMPLERS`. minimise: a second objective, one of `sweep.COSTS`.
    measure: of a point of the curve, what trials are judged by: "probe" or "probe.soft".
    """

    trials: int
    seed: int = 0
    batch: int | None = None
    sampler: str = "tpe"
    minimise: str | None = None
    measure: str = AGREEMENT
