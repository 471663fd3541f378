"""Running means of what a run reports: its loss terms since the last point of the curve."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class RunningMeans:
    """Sums by name, kept on the device: reading a number back in each step would stall a GPU."""

    def __init__(self, device: str) -> None:
        self.sums: defaultdict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=device))
        self.since = 0

    @torch.no_grad()
    def add(self, values: Mapping[str, Tensor]) -> None:
        """Add one step's values to their sums; no gradient is kept."""
        torch._foreach_add_([self.sums[name] for name in values], list(values.values()))

    def take(self, step: int) -> dict[str, float]:
        """Return the means over the steps since the last call, and begin anew."""
        means = {name: value.item() / (step - self.since) for name, value in self.sums.items()}
        self.sums.clear()
        self.since = step
        return means

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        return {"sums": dict(self.sums), "summed_from": self.since}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.sums.clear()
        self.sums.update(state["sums"])
        self.since = state["summed_from"]
