"""AdamW and SGD, by PyTorch's own functions, with all parameters in one tensor.

PyTorch's optimizer classes go through a list of parameters: a small student is few numbers in many
tensors, and a tenth of its step was spent on that. They also import PyTorch's compiler, 1.7 s in
every process that trains. The bits are theirs.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from dfkd.models.optimizing.rates import Rate

MOMENTS = {"adamw": 2, "sgd": 1}  # how many numbers are kept of each weight


class _Kept(NamedTuple):
    """Tensors of the parameters' shapes. whole: the one in which all lie, if they do."""

    parts: list[Tensor]
    whole: Tensor | None = None


class Optimizer:
    """AdamW (beta_2 0.999), or SGD with momentum.

    kind: "adamw" or "sgd". rates: of each step, the momentum with them; so many steps can be taken.
    fused: whether kernels do all of a step in one pass, which changes AdamW's last bits on a CPU.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        kind: str,
        rates: Sequence[Rate],
        weight_decay: float,
        fused: bool = False,
    ) -> None:
        self.parameters: list[Any] = list(parameters)
        self.rates, self.taken = rates, 0
        self.kind, self.weight_decay, self.fused = kind, weight_decay, fused
        # fused kernels and a GPU's are fast on many tensors, and their last bits are those of each
        self.together = not fused and all(
            p.is_contiguous() and p.device.type == "cpu" for p in self.parameters
        )
        zeros = _in_one if self.together else _apart
        self.moments = [zeros(self.parameters) for _ in range(MOMENTS[kind])]
        self.steps = [torch.zeros((), device=p.device) for p in self.parameters]
        if self.together:
            self.values, self.gradients = _in_one(self.parameters), _in_one(self.parameters)
            self._read()

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
        if self.together and len(moved) < len(self.parameters):
            self._part()
        if self.together:
            self._step_together()
        else:
            self._step_apart(moved)
        self.taken += 1

    def _step_together(self) -> None:
        torch._foreach_copy_(self.gradients.parts, [p.grad for p in self.parameters])
        one = [self.values.whole], [self.gradients.whole]
        self._update(*one, [[moment.whole] for moment in self.moments], self.steps[:1])
        torch._foreach_copy_(self.parameters, self.values.parts)

    def _step_apart(self, moved: Sequence[int]) -> None:
        def of(tensors: Sequence[Any]) -> list[Any]:
            return [tensors[i] for i in moved]

        gradients = [p.grad for p in of(self.parameters)]
        moments = [of(moment.parts) for moment in self.moments]
        self._update(of(self.parameters), gradients, moments, of(self.steps))

    def _part(self) -> None:
        """Let each parameter go its own way from now on, and count its own steps."""
        for step in self.steps[1:]:
            step.copy_(self.steps[0])
        self.together = False

    def _update(
        self,
        parameters: list[Any],
        gradients: list[Any],
        moments: list[list[Any]],
        steps: list[Tensor],
    ) -> None:
        """Move the parameters, the moments and the numbers of steps, where they lie."""
        rate, momentum = self.rate
        how: Any = {"foreach": not self.fused, "fused": self.fused, "maximize": False}
        how |= {"lr": rate, "weight_decay": self.weight_decay}
        if self.kind == "adamw":
            how |= {"beta1": momentum, "beta2": 0.999, "eps": 1e-8, "amsgrad": False}
            adamw(parameters, gradients, moments[0], moments[1], [], steps, **how)
        else:
            how |= {"momentum": momentum, "dampening": 0, "nesterov": False}
            sgd(parameters, gradients, moments[0], **how)

    def state(self) -> dict[str, Any]:
        """Return what has to be saved to go on, beside the parameters."""
        moments = [moment.parts for moment in self.moments]
        kept = {"moments": moments, "steps": self.steps, "together": self.together}
        return {"taken": self.taken, **kept}

    @torch.no_grad()
    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved state; the parameters are those of then already."""
        self.taken, self.together = state["taken"], state["together"]
        for mine, saved in zip(self.moments, state["moments"], strict=True):
            torch._foreach_copy_(mine.parts, saved)
        torch._foreach_copy_(self.steps, state["steps"])
        if self.together:
            self._read()

    def _read(self) -> None:
        with torch.no_grad():
            torch._foreach_copy_(self.values.parts, self.parameters)


def _apart(like: Sequence[Tensor]) -> _Kept:
    return _Kept([torch.zeros_like(p) for p in like])


def _in_one(like: Sequence[Tensor]) -> _Kept:
    sizes = [p.numel() for p in like]
    whole = torch.zeros(sum(sizes))
    parts = zip(torch.split(whole, sizes), like, strict=True)
    return _Kept([part.view_as(p) for part, p in parts], whole)
