"""AdamW and SGD, by PyTorch's own functions and their fused kernels.

A fused kernel does all of a step in one pass over a parameter. PyTorch's optimizer classes import
its compiler, 1.7 s in every process that trains. The bits are theirs.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from dfkd.models.optimizing.rates import Rate

MOMENTS = {"adamw": 2, "sgd": 1}  # how many numbers are kept of each weight


class Optimizer:
    """AdamW (beta_2 0.999), or SGD with momentum.

    kind: "adamw" or "sgd". rates: of each step, the momentum with them; so many steps can be taken.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        kind: str,
        rates: Sequence[Rate],
        weight_decay: float,
    ) -> None:
        self.parameters: list[Any] = list(parameters)
        self.kind, self.rates, self.weight_decay = kind, rates, weight_decay
        self.taken = 0
        self.moments = [
            [torch.zeros_like(p) for p in self.parameters] for _ in range(MOMENTS[kind])
        ]
        self.steps = [torch.zeros((), device=p.device) for p in self.parameters]

    @property
    def rate(self) -> Rate:
        """The rate of the next step."""
        return self.rates[self.taken]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Take a step along the gradients; a parameter without one stays as it is."""
        moved = [i for i, p in enumerate(self.parameters) if p.grad is not None]

        def of(tensors: Sequence[Any]) -> list[Any]:
            return [tensors[i] for i in moved]

        parameters, first = of(self.parameters), of(self.moments[0])
        gradients = [p.grad for p in parameters]
        rate, momentum = self.rate
        how: Any = {"lr": rate, "weight_decay": self.weight_decay, "maximize": False, "fused": True}
        if self.kind == "adamw":
            how |= {"beta1": momentum, "beta2": 0.999, "eps": 1e-8, "amsgrad": False}
            second = of(self.moments[1])
            adamw(parameters, gradients, first, second, [], of(self.steps), **how)
        else:
            how |= {"momentum": momentum, "dampening": 0, "nesterov": False}
            sgd(parameters, gradients, first, **how)
        self.taken += 1

    def state(self) -> dict[str, Any]:
        """Return what has to be saved to go on, beside the parameters."""
        return {"taken": self.taken, "moments": self.moments, "steps": self.steps}

    @torch.no_grad()
    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved state; the parameters are those of then already."""
        self.taken = state["taken"]
        for mine, saved in zip(self.moments, state["moments"], strict=True):
            torch._foreach_copy_(mine, saved)
        torch._foreach_copy_(self.steps, state["steps"])
