"""Rates: how fast each step learns, to the last bit as PyTorch's schedulers say it.

Theirs move an optimizer of PyTorch's own, of which there is none here (see optimizer.py).
"""

from math import cos, pi
from typing import NamedTuple

MOMENTUM = 0.9
LOW, HIGH = 0.85, 0.95  # between which a cycle moves the momentum
RISES = 0.3  # of a cycle
START, END = 25.0, 1e4  # a cycle starts at peak / START and ends at peak / START / END


class Rate(NamedTuple):
    """The learning rate of a step, and its momentum: AdamW's beta_1, or SGD's."""

    learning_rate: float
    momentum: float = MOMENTUM


def one_cycle(peak: float, steps: int, total: int) -> list[Rate]:
    """Return the rates of the first steps of a cycle: up to the peak, and down to nearly nothing.

    Both halves are cosines; the momentum moves the other way. total: the steps of the whole cycle
    (Smith and Topin, arXiv 1708.07120; `torch.optim.lr_scheduler.OneCycleLR`).
    """
    start, top, end = peak / START, RISES * total - 1, total - 1

    def at(step: int) -> Rate:
        if step <= top:
            share = step / top
            return Rate(_between(start, peak, share), _between(HIGH, LOW, share))
        share = (step - top) / (end - top)
        return Rate(_between(peak, start / END, share), _between(LOW, HIGH, share))

    return [at(step) for step in range(steps)]


def cosine(peak: float, steps: int) -> list[Rate]:
    """Return rates that fall along half a cosine (`CosineAnnealingLR`)."""
    rates = [Rate(peak)]
    for step in range(1, steps):
        falls = (1 + cos(pi * step / steps)) / (1 + cos(pi * (step - 1) / steps))
        rates.append(Rate(falls * rates[-1].learning_rate))
    return rates


def tenths(peak: float, steps: int, shares: tuple[float, ...]) -> list[Rate]:
    """Return rates that fall to a tenth at each of these shares of the steps (`MultiStepLR`)."""
    falls, rate, rates = [round(share * steps) for share in shares], peak, list[Rate]()
    for step in range(steps):
        if step in falls:
            rate *= 0.1 ** falls.count(step)
        rates.append(Rate(rate))
    return rates


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2.0 * (cos(pi * share) + 1)
