"""The optimizer and its rates: PyTorch's own classes, to the last bit."""

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, MultiStepLR, OneCycleLR

from dfkd.models.optimizing import Optimizer, Rate, cosine, one_cycle, tenths

SHAPES = [(8, 3, 3, 3), (8,), (16, 8, 1, 1), (16,), (10, 16), (10,), (1,), (37,)]
STEPS = 40
DECAYS = {
    "one cycle": (
        lambda steps: one_cycle(0.3, steps, total=steps + 1),
        lambda optimizer, steps: OneCycleLR(optimizer, 0.3, total_steps=steps + 1),
    ),
    "cosine": (lambda steps: cosine(0.3, steps), CosineAnnealingLR),
    "tenths": (
        lambda steps: tenths(0.3, steps, (0.4, 0.8)),
        lambda optimizer, steps: MultiStepLR(
            optimizer, [round(share * steps) for share in (0.4, 0.8)], gamma=0.1
        ),
    ),
}


def parameters() -> list[nn.Parameter]:
    draw = torch.Generator().manual_seed(1)
    return [nn.Parameter(torch.randn(shape, generator=draw) / 4) for shape in SHAPES]


def give_gradients(step: int, *sides: list[nn.Parameter], absent: tuple[int, ...] = ()) -> None:
    """The same to all sides: large, small and 0 ones."""
    draw = torch.Generator().manual_seed(1000 + step)
    for i, shape in enumerate(SHAPES):
        gradient = torch.randn(shape, generator=draw) * 10.0 ** -(3 * i % 8) * ((step + i) % 5 > 0)
        for side in sides:
            side[i].grad = None if i in absent else gradient.clone()


def torchs(kind: str, of: list[nn.Parameter]) -> torch.optim.Optimizer:
    how = {"fused": True, "lr": 0.3, "weight_decay": 0.01}
    if kind == "adamw":
        return torch.optim.AdamW(of, **how)
    return torch.optim.SGD(of, momentum=0.9, **how)


def same(one: list[nn.Parameter], other: list[nn.Parameter]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 7, 40, 333])
def test_the_rates_are_pytorchs(decay: str, steps: int) -> None:
    ours, theirs = DECAYS[decay]
    optimizer = torchs("adamw", [nn.Parameter(torch.zeros(1))])
    schedule, found = theirs(optimizer, steps), list[Rate]()
    for _ in range(steps):
        [group] = optimizer.param_groups
        found.append(Rate(group["lr"], group["betas"][0]))
        optimizer.step()
        schedule.step()
    assert ours(steps) == found


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_the_steps_are_pytorchs(kind: str) -> None:
    mine, other = parameters(), parameters()
    rates = one_cycle(0.3, STEPS, total=STEPS + 1)
    optimizer, reference = Optimizer(mine, kind, rates, 0.01), torchs(kind, other)
    schedule = OneCycleLR(reference, 0.3, total_steps=STEPS + 1)
    for step in range(STEPS):
        give_gradients(step, mine, other)
        optimizer.step()
        reference.step()
        schedule.step()
        assert same(mine, other), step
    assert not same(mine, parameters())
    optimizer.zero_grad()
    assert all(p.grad is None for p in mine)


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_a_parameter_without_a_gradient_stays_as_it_is(kind: str) -> None:
    """Not only its value: weight decay and the number of its steps wait as well."""
    mine, other = parameters(), parameters()
    optimizer, reference = Optimizer(mine, kind, cosine(0.3, STEPS), 0.01), torchs(kind, other)
    schedule = CosineAnnealingLR(reference, STEPS)
    for step in range(STEPS):
        give_gradients(step, mine, other, absent=(2, 5) if step % 7 in (3, 4) else ())
        optimizer.step()
        reference.step()
        schedule.step()
        assert same(mine, other), step


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
@pytest.mark.parametrize("absent", [(), (1,)])
@pytest.mark.parametrize("stop", [0, 1, 9])
def test_it_goes_on_from_a_saved_state(kind: str, absent: tuple[int, ...], stop: int) -> None:
    calm, mine, rates = parameters(), parameters(), cosine(0.3, 20)
    reference, first = Optimizer(calm, kind, rates, 0.01), Optimizer(mine, kind, rates, 0.01)
    for step in range(20):
        if step == stop:
            resumed, state = [nn.Parameter(p.detach().clone()) for p in mine], first.state()
            mine, first = resumed, Optimizer(resumed, kind, rates, 0.01)
            first.restore(state)
        give_gradients(step, calm, mine, absent=absent if step > 3 else ())
        reference.step()
        first.step()
    assert same(mine, calm)


def test_channels_last_weights_keep_their_layout() -> None:
    mine, other = ([nn.Parameter(torch.ones(4, 3, 2, 2))] for _ in range(2))
    for side in (mine, other):
        side[0].data = side[0].data.to(memory_format=torch.channels_last)
        side[0].grad = torch.full_like(side[0], 0.1)
    Optimizer(mine, "adamw", [Rate(0.3)], 0.01).step()
    torchs("adamw", other).step()
    assert same(mine, other) and mine[0].is_contiguous(memory_format=torch.channels_last)
