"""CUDA graphs: what a step computes on a GPU as one launch, not hundreds.

Small students leave a GPU waiting for Python, which launches kernel after kernel. A graph records
kernels once and replays them on other numbers in the same memory: the same kernels, so the same
bits. What Python decides anew in each step (rows, views, dropping, learning rate) stays outside.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeAlias

import torch
from torch import Tensor

from dfkd.seeding import drawing_from
from dfkd.training.objective import Objective, StepInputs

Pass: TypeAlias = Callable[[Tensor], tuple[Tensor, ...]]
WARM_UP = 3  # steps, in which libraries choose kernels and allocate; PyTorch's own number


class RecordedStep:
    """Forward and backward pass of steps whose inputs have the shapes of an example."""

    def __init__(self, objective: Objective, example: StepInputs) -> None:
        """Record them; RuntimeError where a kernel cannot be recorded.

        The objective's parameters and statistics are those of before.
        """
        self.objective, device = objective, example.views[0].device
        self.given = replace(
            example,
            views=tuple(view.clone() for view in example.views),
            teacher=example.teacher.each(Tensor.clone),
            keep_BK=None if example.keep_BK is None else example.keep_BK.clone(),
            weights={name: torch.tensor(w, device=device) for name, w in example.weights.items()},
        )
        with _unmoved(objective):
            self._warm_up()
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self.terms = self._step()
        self.gradients = [parameter.grad for parameter in objective.parameters()]

    def __call__(self, given: StepInputs) -> dict[str, Tensor]:
        """Leave the gradients in the parameters and return the terms, until the next call."""
        for mine, new in zip(_tensors(self.given), _tensors(given), strict=True):
            mine.copy_(new)
        for name, weight in given.weights.items():
            self.given.weights[name].fill_(weight)  # type: ignore[union-attr]
        self.graph.replay()
        return self.terms

    def repeats(self, given: StepInputs) -> bool:
        """Return whether the recorded step does what Python does, to the last bit."""
        device, parameters = str(given.views[0].device), list(self.objective.parameters())
        with _unmoved(self.objective), drawing_from(1, device):
            recorded = [*self(given).values(), *self.gradients]
            found = [None if value is None else value.detach().clone() for value in recorded]
        self.objective.zero_grad()
        with _unmoved(self.objective), drawing_from(1, device):
            terms = self.objective(given)
            terms["total"].backward()
        expected = [*terms.values(), *(parameter.grad for parameter in parameters)]
        for parameter, gradient in zip(parameters, self.gradients, strict=True):
            parameter.grad = gradient
        return all(map(_equal, found, expected))

    def _warm_up(self) -> None:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                self._step()
        torch.cuda.current_stream().wait_stream(side)
        self.objective.zero_grad()

    def _step(self) -> dict[str, Tensor]:
        self.objective.zero_grad()  # gradients are made anew, and not added up, in each replay
        terms: dict[str, Tensor] = self.objective(self.given)
        terms["total"].backward()
        return {name: value.detach() for name, value in terms.items()}


def record_step(
    objective: Objective, example: StepInputs, other: StepInputs
) -> RecordedStep | None:
    """Return the objective's step as a graph.

    other: the inputs of another step, on which it is compared with Python. None where a loss does
    not say that it is `capturable`, where a kernel cannot be recorded, or where the two differ.
    """
    if not objective.capturable:
        return None
    try:
        recorded = RecordedStep(objective, example)
        if recorded.repeats(other):
            return recorded
    except RuntimeError:  # of PyTorch, which cannot record what asks the CPU
        pass
    objective.zero_grad()
    return None


def record_pass(function: Pass, example_BCHW: Tensor) -> Pass | None:
    """Return a pass without gradients as a graph; None where it cannot be recorded."""
    try:
        with torch.no_grad():
            recorded: Any = torch.cuda.make_graphed_callables(function, (example_BCHW.clone(),))
    except RuntimeError:
        return None
    answer: Pass = recorded
    return answer


@contextmanager
def _unmoved(objective: Objective) -> Iterator[None]:
    """Put statistics and what losses remember back, in the memory where a graph reads them."""
    before = {name: value.clone() for name, value in objective.state_dict().items()}
    try:
        yield
    finally:
        with torch.no_grad():
            for name, value in objective.state_dict().items():
                value.copy_(before[name])


def _tensors(given: StepInputs) -> list[Tensor]:
    found: list[Tensor] = []

    def note(value: Tensor) -> Tensor:
        found.append(value)
        return value

    given.teacher.each(note)
    return [*found, *given.views, *([] if given.keep_BK is None else [given.keep_BK])]


def _equal(one: Tensor | None, other: Tensor | None) -> bool:
    return one is other if one is None or other is None else torch.equal(one, other)
